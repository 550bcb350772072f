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
  try { assert(test() !== false, 'it does not match') } catch ({ message }) {
    console.log(`problem: ${what}: ${message}`)
    process.exitCode = 1
  }
}
const identity = String(rows('SELECT * FROM pragma_application_id, pragma_user_version'))
assert(identity === '1163415636,1', `${file} is no archive of a format that this reader knows`)

// Lists that are hashed.
const sha256 = data => createHash('sha256').update(data).digest()
const hex = data => sha256(data).toString('hex')
function list(value) {
  if (Array.isArray(value)) return `[${value.map(list)}]`
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'number') return JSON.stringify(value)
  return `"${new BigUint64Array(Float64Array.of(value).buffer)[0].toString(16).padStart(16, '0')}"`
}
const hashOf = row => sha256(list(row)).readBigInt64BE()

// Rows with a checksum of their own, and sums of rows.
const LEFT_OUT = ['run', 'run_group', 'study', 'trial', 'seq', 'checksum', 'rows_sum']
const columns = table => rows('SELECT name FROM pragma_table_info(?)', table).flat()
  .filter(name => !LEFT_OUT.includes(name)).map(name => `${table}.${name}`)
const rowsOf = (table, owner, id) => rows(`SELECT '${table}', ${columns(table)} FROM ${table} WHERE ${owner} = ?`, id)
for (const table of ['migration', 'metric_journal', 'user_view', 'seal', 'blob_writer']) {
  const more = table === 'blob_writer' ? ', (SELECT hash FROM blob WHERE id = blob_writer.blob)' : ''
  for (const [stored, ...row] of rows(`SELECT checksum, '${table}', ${columns(table)}${more} FROM ${table}`))
    check(`${table} ${row[1]}`, () => hashOf(row) === stored)
}
for (const [name, sql] of rows("SELECT name, sql FROM sqlite_schema WHERE type = 'view'")) {
  const mark = sql.match(/^CREATE VIEW \S+ AS -- checksum (-?\d+)\n/)
  if (mark) check(`view ${name}`, () => hashOf(['view', name, sql.slice(mark[0].length)]) === BigInt(mark[1]))
}
const leaves = run => rows(`SELECT k.key, v.type, v.num, v.text, s.kind, s.name, s.line FROM config_value AS v
  JOIN config_key AS k ON k.id = v.key LEFT JOIN config_source AS s ON s.id = v.source WHERE run = ? ORDER BY 1`, run)
const NAMED = 'FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric'
const told = {
  run: id => [['config_value', ...leaves(id)], ...rows(`SELECT 'metric', n.name ${NAMED} WHERE run = ?`, id),
    ...rows("SELECT 'run_seal', checksum FROM run WHERE id = ? AND checksum IS NOT NULL", id)],
  study: id => rows("SELECT 'number', number FROM trial WHERE study = ?", id),
}
const sumOf = (lists, more = 0n) => BigInt.asIntN(64, lists.reduce((sum, row) => sum + hashOf(row), more))
for (const [owner, tables] of Object.entries({
  run: ['run_owner', 'run_environment', 'run_config', 'run_tag', 'note', 'event', 'run_input', 'artifact',
    'run_attribute', 'artifact_alias', 'run_ingest'],
  run_group: ['run_group_attribute'],
  study: ['study_objective', 'study_attribute'],
  trial: ['trial_param', 'trial_value', 'trial_report', 'trial_attribute'],
})) for (const [id, stored] of rows(`SELECT id, rows_sum FROM ${owner}`)) check(`${owner} ${id}`, () =>
  sumOf([...rowsOf(owner, 'id', id), ...tables.flatMap(table => rowsOf(table, owner, id)), ...told[owner]?.(id) ?? []]) === stored)

// Runs: config, seal, events.
const SUMMARY = columns('metric_series').slice(2).map(name => name.replace('metric_series', 's'))
for (const [id, run, config, family, fingerprint, seal, snapshot, ...code] of rows(`SELECT id, run_id, config_hash,
  family, fingerprint, checksum, snapshot, code_digest, data_references
  FROM run JOIN run_config AS c ON c.run = id JOIN run_environment AS e ON e.run = id`)) {
  const likeSeeds = leaves(id).filter(([key]) => !/(^|\.)(seed|random_seed|random_state)$/.test(key))
  check(`config of run ${run}`, () => hex(snapshot) === config)
  check(`family of run ${run}`, () => hex(list(likeSeeds.map(leaf => leaf.slice(0, 4)))).slice(0, 16) === family)
  check(`fingerprint of run ${run}`, () => hex(list([config, ...code])) === fingerprint)
  if (seal !== null) check(`seal of run ${run}`, () => hex([
    ...rows(`SELECT 'run', run_id, status, reason, traceback, started_at, ended_at, duration_ms, config_hash, family,
      fingerprint, host, vcs_commit, vcs_dirty FROM run WHERE id = ?`, id),
    ...rowsOf('run_environment', 'run', id), ...rowsOf('run_config', 'run', id), ['config_value', ...leaves(id)],
    ...rows(`SELECT 'metric_series', n.name, ${SUMMARY}, s.checksum ${NAMED} WHERE run = ? ORDER BY 2`, id),
  ].map(row => `${list(row)}\n`).join('')) === seal)
}
for (const [run, seq, stored, ...parts] of rows('SELECT run, seq, checksum, happened_at, kind, data FROM event'))
  check(`event ${seq} of run ${run}`, () => BigInt(crc32(parts.join('\0'))) === stored)

// Series: the points in the archive, and those in the journals beside it. This machine is little-endian.
const FACTORS = [0x9e3779b97f4a7c15n, 0x3243f6a8885a308dn, 0x313198a2e0370735n, 0xa4093822299f31d1n]
const bitsOf = value => new BigInt64Array(Float64Array.of(value ?? NaN).buffer)[0]
const crcOf = crcs => BigInt(crc32(Uint32Array.from(crcs, Number)))
for (const [run, sum, checksum, ...row] of rows(`SELECT run_id, s.rows_sum, s.checksum, 'metric_series', s.id, run,
  n.name, ${SUMMARY.slice(0, -1)} ${NAMED} JOIN run ON run.id = s.run`)) {
  const points = rows('SELECT step, seq, time_ms, value FROM metric_point WHERE series = ? ORDER BY 1, 2', row[1])
  const numbers = points.map(([step, seq, time, value]) => [step, seq, time, bitsOf(value)])
  const products = numbers.flatMap(point => point.map((number, place) => number * FACTORS[place]))
  const blocks = [], metric = row[3], what = `metric ${metric} of run ${run}`
  for (let at = 0; at < points.length; at += 1024) {
    const block = numbers.slice(at, at + 1024)
    const crcs = FACTORS.map((_, place) => crc32(BigInt64Array.from(block, point => point[place])))
    blocks.push([...block[0].slice(0, 2), crcOf(crcs)])
  }
  check(`the sum of ${what}`, () => sumOf([row], products.reduce((a, b) => a + b, 0n)) === sum)
  check(`the points of ${what}`, () => checksum === null || crcOf(blocks.map(block => block[2])) === checksum)
  check(`the blocks of ${what}`, () => list(checksum !== null && blocks.length > 1 ? blocks : [])
    === list(rows('SELECT step, seq, crc FROM metric_check WHERE series = ? ORDER BY 1, 2', row[1])))
  for (const [step, seq, time, value] of points) console.log([run, metric, step, seq, time, value ?? NaN].join('\t'))
}
function readJournal(name) {
  const data = readFileSync(join(dirname(file), name)), names = new Map(), word = at => data.readUInt32LE(at)
  const textAt = at => data.subarray(at + 20, at + 20 + word(at + 12))
  const head = [0, 4096].find(at => crc32(textAt(at), crc32(data.subarray(at, at + 16))) === word(at + 16))
  const [birth, , nonce, count] = JSON.parse(textAt(head))
  assert(birth === rows("SELECT applied_at || ' ' || sha256 FROM migration WHERE number = 1")[0][0], 'it is of another archive')
  const [drained] = rows('SELECT drained FROM metric_journal WHERE journal = ?', name.slice(-15, -7))[0] ?? [0n]
  const segments = Array.from({ length: count }, (_, number) => 12288 + number * 1044480)
  for (const begin of segments.sort((one, other) => word(one + 20) - word(other + 20))) {
    const epoch = word(begin + 20), seed = crc32(BigUint64Array.of(BigInt(epoch)), nonce)
    for (let at = begin, end; at < begin + 1044480; at = end) {
      const index = data.readBigUInt64LE(at + 8), isWaiting = epoch * 21760 + (at - begin) / 48 >= drained
      end = at + 48 * (word(at + 44) || 1)
      const isRight = word(at) * 48 === at && end <= begin + 1044480 && crc32(data.subarray(at, end - 8), seed) === word(end - 8)
      if (!isRight) end = at + 48
      else if (index >> 63n) {
        const run = data.toString('latin1', at + 24, at + 40), metric = data.toString('utf8', at + 48, at + 48 + word(at + 16))
        names.set(index - 2n ** 63n, [run, metric])
      } else for (; isWaiting && at < end; at += 48) {
        const [run, metric] = names.get(data.readBigUInt64LE(at + 8)), time = Math.trunc(data.readDoubleLE(at + 24))
        console.log([run, metric, data.readBigInt64LE(at + 16), 'waiting', time, data.readDoubleLE(at + 32)].join('\t'))
      }
    }
  }
}
for (const name of readdirSync(dirname(file))) if (name.startsWith(`${basename(file)}.`)
  && /^[0-9a-f]{8}-\d+-[0-9a-f]{8}\.points$/.test(name.slice(basename(file).length + 1))) check(name, () => readJournal(name))

// Artifacts: chunks, blobs, folders.
function unpack(chunk) {
  const [[digest, size, codec, taken, data]] = rows(`SELECT sha256, raw_bytes, codec, stored_bytes, data
    FROM chunk JOIN chunk_data ON chunk = id WHERE id = ?`, chunk)
  const packed = codec === 'raw' ? data : zstdDecompressSync(data, { maxOutputLength: Number(size) })
  const found = Buffer.alloc(packed.length), width = Number(codec.match(/\d/)?.[0] ?? 1)
  for (let lane = 0, from = 0; lane < width; lane++)
    for (let to = lane; to < found.length; to += width) found[to] = packed[from++]
  assert(sha256(found).equals(digest) && found.length == size && data.length == taken, `chunk ${chunk} does not match`)
  return found
}
function content(blob) {
  const [[hash, size, sum]] = rows('SELECT hash, size_bytes, list_sha256 FROM blob WHERE id = ?', blob)
  const parts = rows('SELECT sha256, id FROM blob_chunk JOIN chunk ON id = chunk WHERE blob = ? ORDER BY offset_bytes', blob)
  const whole = Buffer.concat(parts.map(([, chunk]) => unpack(chunk)))
  assert(sha256(Buffer.concat(parts.map(([digest]) => digest))).equals(sum), 'its list of chunks does not match')
  assert(`sha256:${hex(whole)}` === hash && whole.length == size, 'its content does not match')
  return whole
}
for (const [chunk] of rows('SELECT id FROM chunk')) check(`chunk ${chunk}`, () => unpack(chunk))
for (const [blob] of rows('SELECT id FROM blob WHERE list_sha256 IS NOT NULL')) check(`blob ${blob}`, () => content(blob))
const UNSAFE = [/(^|\/)\.{0,2}(\/|$)/, /[<>:"|?*\\\x00-\x1f\x7f-\x9f]/, /[. ](\/|$)/, /[^/]{256}/, /^(.*\/){100}/,
  /(^|\/)(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[1-9¹²³]) *(\.|\/|$)/i]
function restore(path, mode, data) {
  const place = join(target, path)
  assert(!UNSAFE.some(rule => rule.test(path)), `the path ${JSON.stringify(path)} is not safe`)
  mkdirSync(data ? dirname(place) : place, { recursive: true })
  if (data) writeFileSync(place, data, { flag: 'wx' })
  return () => chmodSync(place, Number(mode & 0o777n))
}
for (const [id, blob, checksum, ...row] of rows(`SELECT a.id, blob, a.checksum, run_id, a.name, version, kind, hash,
  is_text, media_type, step, metadata, created_at FROM artifact AS a JOIN run ON run.id = run`)) {
  const top = `${row[0]}/${row[2]}/${row[1]}`, isFolder = row[6] === 'application/vnd.exptrack.folder+json'
  check(`artifact ${top}`, () => BigInt(crc32(list(row))) === checksum)
  if (blob !== null) check(`content of artifact ${top}`, () => {
    const data = content(blob), entries = rows(`SELECT path, mode, hash, size_bytes, blob FROM artifact_entry
      LEFT JOIN blob ON id = blob WHERE artifact = ? ORDER BY path`, id)
    assert(`sha256:${hex(data)}` === row[4], 'it is of another artifact')
    const manifest = [1n, entries.map(entry => entry.slice(0, entry[4] === null ? 2 : 4))]
    assert(!isFolder || list(manifest) === data.toString(), 'its entries do not match its manifest')
    if (!target) return
    const last = isFolder ? [restore(top, 0o755n)] : [restore(top, 0o644n, data)]
    for (const [path, mode, , , inside] of entries) last.push(restore(`${top}/${path}`, mode, inside && content(inside)))
    last.reverse().forEach(setMode => setMode())
  })
}
