// Reads an exptrack archive by docs/format.md alone: checks all it holds, prints its curves, restores its artifacts.
import assert from 'node:assert'
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { crc32, zstdDecompressSync } from 'node:zlib'

const [file, target] = process.argv.slice(2)
const db = new DatabaseSync(file, { readOnly: true, readBigInts: true, returnArrays: true })
const rows = (sql, ...values) => db.prepare(sql).all(...values) // an INTEGER is a BigInt here, a REAL is a number
function check(what, test) {
  try { assert(test() !== false, 'it does not match') } catch ({ message: problem }) {
    console.log(json({ problem, what }))
    process.exitCode = 1
  }
}

// JSON as it is hashed, and hashes.
function float(value) {
  const [digits, e] = value.toExponential().split('e')
  if (Number.isFinite(value) && (e < -4 || e > 15)) return `${digits}e${e[0]}${e.slice(1).padStart(2, '0')}`
  const text = Object.is(value, -0) ? '-0' : String(value)
  return Number.isInteger(value) ? `${text}.0` : text
}
const isMap = value => value !== null && typeof value === 'object' && !Array.isArray(value)
const byBytes = (one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other))
function json(value) {
  if (typeof value === 'number') return float(value)
  if (typeof value === 'string') return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(json)}]`
  if (!isMap(value)) return String(value)
  return `{${Object.keys(value).sort(byBytes).map(key => `${json(key)}:${json(value[key])}`)}}`
}
const parse = text => JSON.parse(text, (_, value, { source } = {}) =>
  typeof value === 'number' && /^-?\d+$/.test(source) ? BigInt(source) : value)
const sha256 = data => createHash('sha256').update(data).digest()
const hex = data => sha256(data).toString('hex')
const hashOf = list => sha256(json(list)).readBigInt64BE()

check('identity', () => rows('PRAGMA application_id')[0][0] === 0x45585054n && rows('PRAGMA user_version')[0][0] === 1n)

// Rows with a checksum of their own, and sums of rows.
const LEFT_OUT = ['run', 'run_group', 'study', 'trial', 'seq', 'checksum', 'rows_sum']
const columns = table => rows('SELECT name FROM pragma_table_info(?)', table).flat()
  .filter(name => !LEFT_OUT.includes(name)).map(name => `${table}.${name}`)
for (const table of ['migration', 'metric_journal', 'user_view', 'seal', 'blob_writer']) {
  const more = table === 'blob_writer' ? ', (SELECT hash FROM blob WHERE id = blob_writer.blob)' : ''
  for (const [stored, ...list] of rows(`SELECT checksum, '${table}', ${columns(table)}${more} FROM ${table}`))
    check(`${table} ${list[1]}: checksum`, () => hashOf(list) === stored)
}
for (const [name, sql] of rows("SELECT name, sql FROM sqlite_schema WHERE type = 'view'")) {
  const mark = sql.match(/^CREATE VIEW \S+ AS -- checksum (-?\d+)\n/)
  if (mark) check(`view ${name}`, () => hashOf(['view', name, sql.slice(mark[0].length)]) === BigInt(mark[1]))
}
const rowsOf = (table, owner, id) => rows(`SELECT '${table}', ${columns(table)} FROM ${table} WHERE ${owner} = ?`, id)
const leaves = run => rows(`SELECT k.key, v.type, v.num, v.text, s.kind, s.name, s.line FROM config_value AS v
  JOIN config_key AS k ON k.id = v.key LEFT JOIN config_source AS s ON s.id = v.source WHERE run = ? ORDER BY 1`, run)
const NAMED = 'FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric'
const OWNED = {
  run: ['run_owner', 'run_environment', 'run_config', 'run_tag', 'note', 'event', 'run_input', 'artifact',
    'run_attribute', 'artifact_alias', 'run_ingest'],
  run_group: ['run_group_attribute'],
  study: ['study_objective', 'study_attribute'],
  trial: ['trial_param', 'trial_value', 'trial_report', 'trial_attribute'],
}
const told = {
  run: id => [['config_value', ...leaves(id)], ...rows(`SELECT 'metric', n.name ${NAMED} WHERE run = ?`, id),
    ...rows("SELECT 'run_seal', checksum FROM run WHERE id = ? AND checksum IS NOT NULL", id)],
  study: id => rows("SELECT 'number', number FROM trial WHERE study = ?", id),
}
const total = (lists, more = 0n) => BigInt.asIntN(64, lists.reduce((sum, list) => sum + hashOf(list), more))
for (const [owner, tables] of Object.entries(OWNED))
  for (const [id, stored] of rows(`SELECT id, rows_sum FROM ${owner}`))
    check(`${owner} ${id}: rows_sum`, () => stored === total([...rowsOf(owner, 'id', id),
      ...tables.flatMap(table => rowsOf(table, owner, id)), ...(told[owner]?.(id) ?? [])]))

// Runs: config, seal, events.
const SEEDS = ['seed', 'random_seed', 'random_state']
const withoutSeeds = value => !isMap(value) ? value : Object.fromEntries(
  Object.entries(value).filter(([key]) => !SEEDS.includes(key)).map(([key, item]) => [key, withoutSeeds(item)]))
const SUMMARY = columns('metric_series').slice(2).map(name => name.replace('metric_series', 's'))
for (const [id, run, hash, family, fingerprint, seal, snapshot, code, data] of rows(`SELECT id, run_id, config_hash,
  family, fingerprint, checksum, snapshot, code_digest, data_references
  FROM run JOIN run_config AS c ON c.run = id JOIN run_environment AS e ON e.run = id`)) {
  check(`run ${run}: config`, () => hex(snapshot) === hash && json(parse(snapshot)) === snapshot)
  check(`run ${run}: family`, () => hex(json(withoutSeeds(parse(snapshot)))).slice(0, 16) === family)
  check(`run ${run}: fingerprint`, () => hex(json([hash, code, parse(data)])) === fingerprint)
  const bare = table => rowsOf(table, 'run', id).map(([, ...row]) => row)
  const facts = rows(`SELECT run_id, status, reason, traceback, started_at, ended_at, duration_ms, config_hash, family,
    fingerprint, host, vcs_commit, vcs_dirty FROM run WHERE id = ?`, id)
  const series = rows(`SELECT n.name, ${SUMMARY}, s.checksum ${NAMED} WHERE run = ? ORDER BY 1`, id)
  const lines = [facts, bare('run_environment'), bare('run_config'), leaves(id), series].map(line => `${json(line)}\n`)
  check(`run ${run}: seal`, () => seal === null || hex(lines.join('')) === seal)
}
for (const [run, seq, stored, ...parts] of rows('SELECT run, seq, checksum, happened_at, kind, data FROM event'))
  check(`run ${run}, event ${seq}: checksum`, () => BigInt(crc32(parts.join('\0'))) === stored)

// Series: the points in the archive, and those in the journals beside it. This machine is little-endian.
const FACTORS = [0x9e3779b97f4a7c15n, 0x3243f6a8885a308dn, 0x313198a2e0370735n, 0xa4093822299f31d1n]
const bits = value => new BigInt64Array(Float64Array.of(value ?? NaN).buffer)[0]
const crcOfAll = crcs => BigInt(crc32(Uint32Array.from(crcs, Number)))
const curves = {}
for (const [run, sum, checksum, ...list] of rows(`SELECT run_id, s.rows_sum, s.checksum, 'metric_series', s.id, run,
  n.name, ${SUMMARY.slice(0, -1)} ${NAMED} JOIN run ON run.id = s.run`)) {
  const points = rows('SELECT step, seq, time_ms, value FROM metric_point WHERE series = ? ORDER BY 1, 2', list[1])
  const [, id, , metric] = list, what = `run ${run}, metric ${metric}`, blocks = []
  const numbers = points.map(([step, seq, time, value]) => [step, seq, time, bits(value)])
  const products = numbers.map(point => point.reduce((sum, number, place) => sum + number * FACTORS[place], 0n))
  check(`${what}: rows_sum`, () => total([list], products.reduce((a, b) => a + b, 0n)) === sum)
  for (let at = 0; at < points.length; at += 1024) {
    const block = numbers.slice(at, at + 1024)
    const four = FACTORS.map((_, place) => crc32(BigInt64Array.from(block, point => point[place])))
    blocks.push([block[0][0], block[0][1], crcOfAll(four)])
  }
  check(`${what}: checksum`, () => checksum === null || crcOfAll(blocks.map(block => block[2])) === checksum)
  const stored = rows('SELECT step, seq, crc FROM metric_check WHERE series = ? ORDER BY 1, 2', id)
  check(`${what}: blocks`, () => json(stored) === json(checksum !== null && blocks.length > 1 ? blocks : []))
  curves[what] = { run, metric, points, waiting: [] }
}
function readJournal(name) {
  const data = readFileSync(join(dirname(file), name)), names = new Map(), word = at => data.readUInt32LE(at)
  const textAt = at => data.subarray(at + 20, at + 20 + word(at + 12))
  const head = [0, 4096].find(at => word(at + 8) === 2 && crc32(textAt(at), crc32(data.subarray(at, at + 16))) === word(at + 16))
  const [birth, , nonce, count] = JSON.parse(textAt(head))
  assert.equal(birth, rows("SELECT applied_at || ' ' || sha256 FROM migration WHERE number = 1")[0][0])
  const [drained] = rows('SELECT drained FROM metric_journal WHERE journal = ?', name.slice(-15, -7))[0] ?? [0n]
  const segments = Array.from({ length: count }, (_, number) => 12288 + number * 1044480)
  for (const begin of segments.sort((one, other) => word(one + 20) - word(other + 20))) {
    const epoch = word(begin + 20), seed = crc32(BigUint64Array.of(BigInt(epoch)), nonce)
    for (let at = begin, end; at < begin + 1044480; at = end) {
      const index = data.readBigUInt64LE(at + 8), address = epoch * 21760 + (at - begin) / 48
      end = at + 48 * (word(at + 44) || 1)
      const isRight = Number(data.readBigUInt64LE(at)) * 48 === at && end <= begin + 1044480
      if (!isRight || crc32(data.subarray(at, end - 8), seed) !== word(end - 8)) end = at + 48
      else if (index >= 2n ** 63n) {
        const [run, metric] = [data.toString('latin1', at + 24, at + 40), data.toString('utf8', at + 48, at + 48 + word(at + 16))]
        names.set(index - 2n ** 63n, curves[`run ${run}, metric ${metric}`] ??= { run, metric, points: [], waiting: [] })
      } else for (; at < end && address >= drained; at += 48) {
        const time = BigInt(Math.trunc(data.readDoubleLE(at + 24))), value = data.readDoubleLE(at + 32)
        const point = [data.readBigInt64LE(at + 16), time, Number.isNaN(value) ? null : value]
        names.get(data.readBigUInt64LE(at + 8)).waiting.push(point)
      }
    }
  }
}
const isJournal = name => name.startsWith(basename(file)) && /^\.[0-9a-f]{8}-\d+-[0-9a-f]{8}\.points$/.test(name.slice(basename(file).length))
for (const name of readdirSync(dirname(file)).filter(isJournal)) check(name, () => readJournal(name))
for (const curve of Object.values(curves)) console.log(json(curve))

// Artifacts: chunks, blobs, folders.
const WIDTHS = { raw: 1, zstd: 1, 'shuffle2+zstd': 2, 'shuffle4+zstd': 4, 'shuffle8+zstd': 8 }
function unpack(chunk) {
  const [[digest, size, codec, taken, data]] = rows(`SELECT sha256, raw_bytes, codec, stored_bytes, data
    FROM chunk JOIN chunk_data ON chunk = id WHERE id = ?`, chunk)
  const packed = codec === 'raw' ? data : zstdDecompressSync(data, { maxOutputLength: Number(size) })
  const found = Buffer.alloc(packed.length), width = WIDTHS[codec]
  for (let lane = 0, from = 0; lane < width; lane++)
    for (let to = lane; to < found.length; to += width) found[to] = packed[from++]
  assert(sha256(found).equals(digest) && found.length == size && data.length == taken, `chunk ${chunk} does not match`)
  return found
}
for (const [chunk] of rows('SELECT id FROM chunk')) check(`chunk ${chunk}`, () => unpack(chunk))
function content(blob) {
  const [[hash, size, list]] = rows('SELECT hash, size_bytes, list_sha256 FROM blob WHERE id = ?', blob)
  const parts = rows('SELECT sha256, id FROM blob_chunk JOIN chunk ON id = chunk WHERE blob = ? ORDER BY offset_bytes', blob)
  const whole = Buffer.concat(parts.map(([, chunk]) => unpack(chunk)))
  assert(sha256(Buffer.concat(parts.map(([digest]) => digest))).equals(list), 'the list of its chunks does not match')
  assert(`sha256:${hex(whole)}` === hash && whole.length == size, 'its content does not match')
  return whole
}
for (const [blob] of rows('SELECT id FROM blob WHERE list_sha256 IS NOT NULL')) check(`blob ${blob}`, () => content(blob))
const UNSAFE = /(^|\/)\.{0,2}(\/|$)|[<>:"|?*\\\x00-\x1f\x7f-\x9f]|[. ](\/|$)|(^|\/)(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[1-9¹²³]) *(\.|\/|$)|[^/]{256}|(\/.*){100}/i
function restore(path, data, mode) {
  assert(!UNSAFE.test(path), `the path ${json(path)} is not safe`)
  const place = join(target, path)
  mkdirSync(data === null ? place : dirname(place), { recursive: true })
  if (data !== null) writeFileSync(place, data, { flag: 'wx' })
  return () => chmodSync(place, Number(mode) & 0o777)
}
for (const [id, blob, checksum, ...list] of rows(`SELECT a.id, blob, a.checksum, run_id, a.name, version, kind, hash,
  is_text, media_type, step, metadata, created_at FROM artifact AS a JOIN run ON run.id = run`)) {
  const [run, name, version, , , , type] = list, top = `${run}/${version}/${name}`
  check(`artifact ${top}: checksum`, () => BigInt(crc32(json(list))) === checksum)
  if (blob !== null) check(`artifact ${top}`, () => {
    const isFolder = type === 'application/vnd.exptrack.folder+json'
    const entries = !isFolder ? [] : rows('SELECT path, mode, hash, size_bytes, blob FROM artifact_entry LEFT JOIN blob ON id = blob WHERE artifact = ? ORDER BY 1', id)
    ...
  })
}
