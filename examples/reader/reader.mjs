// Reads an exptrack archive by docs/format.md alone: checks all it holds, prints its curves, restores its artifacts.
import assert from 'node:assert'
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { crc32, zstdDecompressSync } from 'node:zlib'

const [file, target] = process.argv.slice(2)
const db = new DatabaseSync(file, { readOnly: true })
const print = value => console.log(json(value))
const check = (isRight, where, what) => { if (!isRight) { print({ problem: what, where }); process.exitCode = 1 } }
const guard = (where, read) => { try { read() } catch (error) { check(false, where, error.message) } }

// Values: an integer is a BigInt here, a float is a number.
function rows(sql, ...values) {
  const statement = db.prepare(sql)
  statement.setReadBigInts(true)
  statement.setReturnArrays(true)
  return statement.all(...values)
}
function float(value) {
  const [digits, e] = value.toExponential().split('e')
  if (Number.isFinite(value) && (e < -4 || e > 15)) return `${digits}e${e[0]}${e.slice(1).padStart(2, '0')}`
  const text = Object.is(value, -0) ? '-0' : String(value)
  return Number.isInteger(value) ? `${text}.0` : text
}
const byBytes = (one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other))
function json(value) {
  if (typeof value === 'number') return float(value)
  if (typeof value === 'string') return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(json)}]`
  if (!isMap(value)) return String(value)
  return `{${Object.keys(value).sort(byBytes).map(key => `${json(key)}:${json(value[key])}`)}}`
}
const isMap = value => value !== null && typeof value === 'object' && !Array.isArray(value)
const parse = text => JSON.parse(text, (_, value, { source } = {}) =>
  typeof value === 'number' && /^-?\d+$/.test(source) ? BigInt(source) : value)
const sha256 = data => createHash('sha256').update(data).digest()
const hex = data => sha256(data).toString('hex')
const crc = data => BigInt(crc32(data))

assert.equal(rows('PRAGMA application_id')[0][0], 0x45585054n, `${file} is no archive`)
assert.equal(rows('PRAGMA user_version')[0][0], 1n, `${file} has a format that this reader does not know`)

// Rows, their hashes, and the sums of those that belong together.
const hashOf = list => sha256(json(list)).readBigInt64BE()
const LEFT_OUT = ['run', 'run_group', 'study', 'trial', 'seq', 'checksum', 'rows_sum']
const columns = table => rows('SELECT name FROM pragma_table_info(?)', table).flat()
  .filter(name => !LEFT_OUT.includes(name)).map(name => `${table}.${name}`)
const rowsOf = (table, owner, id) => rows(`SELECT '${table}', ${columns(table)} FROM ${table} WHERE ${owner} = ?`, id)
const LEAVES = `FROM config_value AS v JOIN config_key AS k ON k.id = v.key
  LEFT JOIN config_source AS s ON s.id = v.source WHERE run = ? ORDER BY k.key`
const sources = run => rows(`SELECT k.key, s.kind, s.name, s.line ${LEAVES}`, run)
const NAMED = 'FROM metric_series JOIN metric_name AS n ON n.id = metric'
const OWNED = {
  run: ['run_owner', 'run_environment', 'run_config', 'run_tag', 'note', 'event', 'run_input', 'artifact',
    'run_attribute', 'artifact_alias', 'run_ingest'],
  run_group: ['run_group_attribute'],
  study: ['study_objective', 'study_attribute'],
  trial: ['trial_param', 'trial_value', 'trial_report', 'trial_attribute'],
}
const told = {
  run: id => [['sources', ...sources(id)], ...rows(`SELECT 'metric', n.name ${NAMED} WHERE run = ?`, id),
    ...rows("SELECT 'run_seal', checksum FROM run WHERE id = ? AND checksum IS NOT NULL", id)],
  study: id => rows("SELECT 'number', number FROM trial WHERE study = ?", id),
}
for (const [owner, tables] of Object.entries(OWNED)) {
  for (const [id, stored] of rows(`SELECT id, rows_sum FROM ${owner}`)) {
    const lists = [...rowsOf(owner, 'id', id), ...tables.flatMap(table => rowsOf(table, owner, id))]
    const sum = [...lists, ...(told[owner]?.(id) ?? [])].reduce((total, list) => total + hashOf(list), 0n)
    check(BigInt.asIntN(64, sum) === stored, `${owner} ${id}`, 'rows_sum does not match')
  }
}
for (const table of ['migration', 'metric_journal', 'user_view', 'seal', 'blob_writer']) {
  const more = table === 'blob_writer' ? ', (SELECT hash FROM blob WHERE blob.id = blob)' : ''
  for (const [stored, ...list] of rows(`SELECT checksum, '${table}', ${columns(table)}${more} FROM ${table}`)) {
    check(hashOf(list) === stored, `${table} ${list[1]}`, 'checksum does not match')
  }
}
for (const [name, sql] of rows("SELECT name, sql FROM sqlite_schema WHERE type = 'view'")) {
  const mark = sql.match(/^CREATE VIEW \S+ AS -- checksum (-?\d+)\n/)
  check(!mark || hashOf(['view', name, sql.slice(mark[0].length)]) === BigInt(mark[1]), `view ${name}`, 'changed')
}

// Runs: config, seal, events.
const SEEDS = ['seed', 'random_seed', 'random_state']
const withoutSeeds = value => !isMap(value) ? value : Object.fromEntries(
  Object.entries(value).filter(([key]) => !SEEDS.includes(key)).map(([key, item]) => [key, withoutSeeds(item)]))
const SUMMARY = columns('metric_series').slice(2).join()
for (const [id, run, hash, family, fingerprint, seal, snapshot, code, data] of rows(`SELECT id, run_id, config_hash,
  family, fingerprint, checksum, snapshot, code_digest, data_references
  FROM run JOIN run_config AS c ON c.run = id JOIN run_environment AS e ON e.run = id`)) {
  const bare = table => rowsOf(table, 'run', id).map(([, ...row]) => row)
  const lines = [
    rows(`SELECT run_id, status, reason, traceback, started_at, ended_at, duration_ms, config_hash, family,
      fingerprint, host, vcs_commit, vcs_dirty FROM run WHERE id = ?`, id),
    bare('run_environment'), bare('run_config'), rows(`SELECT k.key, v.type, v.num, v.text ${LEAVES}`, id), sources(id),
    rows(`SELECT n.name, ${SUMMARY}, checksum ${NAMED} WHERE run = ? ORDER BY n.name`, id),
  ]
  const config = parse(snapshot)
  check(hex(snapshot) === hash && json(config) === snapshot, `run ${run}`, 'config does not match')
  check(hex(json(withoutSeeds(config))).slice(0, 16) === family, `run ${run}`, 'family does not match')
  check(hex(json([hash, code, parse(data)])) === fingerprint, `run ${run}`, 'fingerprint does not match')
  check(!seal || hex(lines.map(line => `${json(line)}\n`).join('')) === seal, `run ${run}`, 'seal does not match')
}
for (const [run, seq, stored, ...parts] of rows('SELECT run, seq, checksum, happened_at, kind, data FROM event')) {
  check(crc(parts.join('\0')) === stored, `event ${seq} of run ${run}`, 'checksum does not match')
}

// Series: the points in the archive, and those in the journals beside it.
const [A, B, C, D] = [0x9e3779b97f4a7c15n, 0x3243f6a8885a308dn, 0x313198a2e0370735n, 0xa4093822299f31d1n]
const bits = value => new BigInt64Array(new Float64Array([value ?? NaN]).buffer)[0]
const crcOfColumn = (points, read) => crc(BigInt64Array.from(points, read)) // here and below: on a little-endian machine
const crcOfCrcs = crcs => crc(Uint32Array.from(crcs, Number))
const curves = new Map()
for (const [run, sum, checksum, ...list] of rows(`SELECT run_id, metric_series.rows_sum, metric_series.checksum,
  'metric_series', metric_series.id, run, n.name, ${SUMMARY.slice(0, -1)} ${NAMED} JOIN run ON run.id = run`)) {
  const points = rows('SELECT step, seq, time_ms, value FROM metric_point WHERE series = ? ORDER BY 1, 2', list[1])
  const total = points.reduce((so_far, [step, seq, time, value]) =>
    so_far + step * A + seq * B + time * C + bits(value) * D, hashOf(list))
  check(BigInt.asIntN(64, total) === sum, `series ${list[3]} of run ${run}`, 'rows_sum does not match')
  const blocks = []
  for (let at = 0; at < points.length; at += 1024) {
    const block = points.slice(at, at + 1024)
    const four = [0, 1, 2, 3].map(column => crcOfColumn(block, point => column < 3 ? point[column] : bits(point[3])))
    blocks.push([block[0][0], block[0][1], crcOfCrcs(four)])
  }
  const stored = rows('SELECT step, seq, crc FROM metric_check WHERE series = ? ORDER BY 1, 2', list[1])
  const isRight = checksum === null ? stored.length === 0 : checksum === crcOfCrcs(blocks.map(block => block[2]))
    && json(stored) === json(blocks.length > 1 ? blocks : [])
  check(isRight, `series ${list[3]} of run ${run}`, 'points do not match their checksums')
  curves.set(json([run, list[3]]), { run, metric: list[3], points })
}
function readJournal(name, key) {
  const data = readFileSync(join(dirname(file), name)), names = new Map(), segments = []
  const [[birth]] = rows("SELECT applied_at || ' ' || sha256 FROM migration WHERE number = 1")
  const [drained] = rows('SELECT drained FROM metric_journal WHERE journal = ?', key)[0] ?? [0n]
  const headers = [0, 4096].filter(at => data.toString('latin1', at, at + 12) === 'EXPTJRNL\x02\0\0\0').map(at => {
    const text = data.subarray(at + 20, at + 20 + data.readUInt32LE(at + 12))
    return crc32(text, crc32(data.subarray(at, at + 16))) === data.readUInt32LE(at + 16) ? JSON.parse(text) : []
  }).filter(header => header[0] === birth).sort((one, other) => other[3] - one[3])
  assert(headers.length, 'it has no sound header, or belongs to another archive')
  const [, , nonce, count] = headers[0]
  for (let number = 0; number < count; number++) {
    const begin = 12288 + number * 1044480
    const at = slot => begin + slot * 48
    const seedOf = epoch => crc32(BigUint64Array.of(BigInt(epoch)), nonce)
    const slotsAt = (slot, epoch) => {
      const slots = data.readUInt32LE(at(slot) + 44) || 1, end = at(slot + slots) - 8
      return data.readBigUInt64LE(at(slot)) === BigInt(at(slot) / 48) && slot + slots <= 21760
        && crc32(data.subarray(at(slot), end), seedOf(epoch)) === data.readUInt32LE(end) ? slots : 0
    }
    for (let slot = 0; slot < 21760; slot++) {
      const epoch = data.readUInt32LE(at(slot) + 20), length = data.readUInt32LE(at(slot) + 16)
      if (data[at(slot) + 15] < 128 || !slotsAt(slot, epoch)) continue
      segments[epoch] = { at, epoch, slotsAt }
      names.set(data.readBigUInt64LE(at(slot) + 8) - 2n ** 63n,
        [data.toString('latin1', at(slot) + 24, at(slot) + 40), data.toString('utf8', at(slot) + 48, at(slot) + 48 + length)])
    }
  }
  for (const { at, epoch, slotsAt } of segments.filter(Boolean)) {
    for (let slot = 0, slots; slot < 21760; slot += slots || 1) {
      slots = slotsAt(slot, epoch)
      if (data[at(slot) + 15] > 127 || epoch * 21760 + slot < drained) continue
      for (let one = at(slot); one < at(slot + slots); one += 48) {
        const [run, metric] = names.get(data.readBigUInt64LE(one + 8))
        const curve = curves.get(json([run, metric])) ?? { run, metric, points: [] }
        const time = BigInt(Math.trunc(data.readDoubleLE(one + 24))), value = data.readDoubleLE(one + 32)
        curves.set(json([run, metric]), curve)
        curve.waiting = [...curve.waiting ?? [], [data.readBigInt64LE(one + 16), time, Number.isNaN(value) ? null : value]]
      }
    }
  }
}
for (const name of readdirSync(dirname(file) || '.')) {
  const key = name.startsWith(basename(file)) && name.slice(basename(file).length).match(/^\.[^.]*-([0-9a-f]{8})\.points$/)
  if (key) guard(name, () => readJournal(name, key[1]))
}
curves.forEach(print)

// Artifacts: chunks, blobs, folders.
function unpack(chunk) {
  const [[digest, size, codec, taken, data]] = rows(`SELECT sha256, raw_bytes, codec, stored_bytes, data
    FROM chunk LEFT JOIN chunk_data ON chunk = id WHERE id = ?`, chunk)
  const width = { raw: 1, zstd: 1, 'shuffle2+zstd': 2, 'shuffle4+zstd': 4, 'shuffle8+zstd': 8 }[codec]
  const packed = codec === 'raw' ? data : zstdDecompressSync(data, { maxOutputLength: Number(size) })
  const found = Buffer.alloc(packed.length)
  for (let lane = 0, from = 0; lane < width; lane++) {
    for (let to = lane; to < found.length; to += width) found[to] = packed[from++]
  }
  assert(found.length === Number(size) && data.length === Number(taken), 'the size of the chunk does not match')
  assert(sha256(found).equals(digest), 'the chunk does not match its hash')
  return found
}
for (const [chunk] of rows('SELECT id FROM chunk')) guard(`chunk ${chunk}`, () => unpack(chunk))
function content(blob) {
  const [[hash, size, list]] = rows('SELECT hash, size_bytes, list_sha256 FROM blob WHERE id = ?', blob)
  const parts = rows(`SELECT offset_bytes, sha256, id FROM blob_chunk JOIN chunk ON id = chunk
    WHERE blob = ? ORDER BY 1`, blob)
  assert(sha256(Buffer.concat(parts.map(part => part[1]))).equals(list), 'the list of chunks does not match its hash')
  const whole = Buffer.alloc(Number(size))
  for (const [offset, , chunk] of parts) unpack(chunk).copy(whole, Number(offset))
  assert(`sha256:${hex(whole)}` === hash, 'the content does not match its hash')
  return whole
}
for (const [blob] of rows('SELECT id FROM blob WHERE list_sha256 IS NOT NULL')) guard(`blob ${blob}`, () => content(blob))
const UNSAFE = new RegExp('(^|/)\\.{0,2}(/|$)|[<>:"|?*\\\\\\x00-\\x1f\\x7f-\\x9f]|[. ](/|$)|(^|/)(CON(IN\\$|OUT\\$)?|PRN'
  + '|AUX|NUL|(COM|LPT)[1-9¹²³]) *(\\.|/|$)', 'i')
const taken = new Map() // by the name that a file system sees which ignores case and composition
function claim(path, isFile) {
  const parts = path.split('/')
  assert(!UNSAFE.test(path) && parts.length <= 100 && parts.every(part => Buffer.byteLength(part) < 256), `unsafe path ${json(path)}`)
  parts.forEach((_, depth) => {
    const here = parts.slice(0, depth + 1).join('/'), key = here.normalize('NFD').toLowerCase()
    const kind = isFile && here === path ? 'file' : `folder ${here}`
    assert(!taken.has(key) || (kind !== 'file' && taken.get(key) === kind), `two paths are ${json(here)} on some system`)
    taken.set(key, kind)
  })
  return join(target, path)
}
function restore(path, data, mode) {
  const place = claim(path, data !== null)
  mkdirSync(data === null ? place : dirname(place), { recursive: true })
  if (data !== null) writeFileSync(place, data, { flag: 'wx', mode: Number(mode) & 0o777 })
}
for (const [id, blob, checksum, ...list] of rows(`SELECT a.id, blob, a.checksum, run_id, a.name, version, kind, hash,
  is_text, media_type, step, metadata, created_at FROM artifact AS a JOIN run ON run.id = run`)) {
  const [run, name, version, , hash, , type] = list, where = `artifact ${name} version ${version} of run ${run}`
  check(crc(json(list)) === checksum, where, 'checksum does not match')
}
