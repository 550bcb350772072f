// Reads an exptrack archive by docs/format.md alone: checks it, prints its curves, restores its artifacts.
import assert from 'node:assert'
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { crc32, zstdDecompressSync } from 'node:zlib'

const [file = assert.fail('usage: node reader.mjs ARCHIVE [NEW_FOLDER]'), target] = process.argv.slice(2)
const db = new DatabaseSync(file, { readOnly: true, readBigInts: true, returnArrays: true })
const rows = (sql, ...values) => db.prepare(sql).all(...values) // INTEGER comes as BigInt, REAL as number
const [[application, format]] = rows('SELECT * FROM pragma_application_id, pragma_user_version')
assert(application === 1163415636n && format >= 1n && format <= 3n, 'no archive of a format known here')
const PAGE_VIEW = format >= 2n ? ' page_view' : '' // tables that older formats lack
function check(what, test) {
  try { assert(test() !== false, 'it does not match') }
  catch (error) { process.exitCode = 1; console.log(`problem: ${what}: ${error.message}`) }
}

// Lists that are hashed.
const sha256 = data => createHash('sha256').update(data).digest()
const hex = data => sha256(data).toString('hex')
const bitsOf = value => new BigUint64Array(Float64Array.of(value).buffer)[0]
const list = value => Array.isArray(value) ? `[${value.map(list)}]`
  : typeof value === 'number' ? `"${bitsOf(value).toString(16).padStart(16, '0')}"`
  : typeof value === 'bigint' ? String(value) : JSON.stringify(value)
const hashOf = row => sha256(list(row)).readBigInt64BE()
const sumOf = (lists, more = 0n) => BigInt.asIntN(64, lists.reduce((sum, row) => sum + hashOf(row), more))

// Rows with a checksum of their own, and sums of rows.
const columns = table => rows(`SELECT name FROM pragma_table_info(?) WHERE name NOT IN
  ('run', 'run_group', 'study', 'trial', 'seq', 'checksum', 'rows_sum')`, table).join()
const rowsOf = (table, by, id) => rows(`SELECT '${table}', ${columns(table)} FROM ${table} WHERE ${by} = ?`, id)
for (const table of `migration metric_journal user_view seal blob_writer${PAGE_VIEW}`.split(' ')) {
  const more = table === 'blob_writer' ? ', (SELECT hash FROM blob WHERE id = blob_writer.blob)' : ''
  for (const [stored, ...row] of rows(`SELECT checksum, '${table}', ${columns(table)}${more} FROM ${table}`))
    check(`${table} ${row[1]}`, () => hashOf(row) === stored)
}
for (const [name, sql] of rows("SELECT name, sql FROM sqlite_schema WHERE type = 'view'"))
  for (const [, stored, text] of sql.matchAll(/^CREATE VIEW \S+ AS -- checksum (-?\d+)\n(.*)/gs))
    check(`view ${name}`, () => hashOf(['view', name, text]) === BigInt(stored))
const leaves = run => rows(`SELECT k.key, type, num, text, kind, name, line FROM config_value AS v JOIN
  config_key AS k ON k.id = v.key LEFT JOIN config_source AS s ON s.id = source WHERE run = ? ORDER BY 1`, run)
const NAMED = 'FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric'
const configOf = run => ['config_value', ...leaves(run)]
for (const [own, tables, ...queries] of [
  ['run', 'run_owner run_environment run_config run_tag note event run_input artifact run_attribute'
    + ' artifact_alias run_ingest', `'metric', name ${NAMED} WHERE run = ?`,
    "'run_seal', checksum FROM run WHERE id = ? AND checksum IS NOT NULL"],
  ['run_group', 'run_group_attribute'], ['trial', 'trial_param trial_value trial_report trial_attribute'],
  ['study', 'study_objective study_attribute', "'number', number FROM trial WHERE study = ?"],
]) for (const [id, sum] of rows(`SELECT id, rows_sum FROM ${own}`)) check(`${own} ${id}`, () => sum === sumOf([
  ...rowsOf(own, 'id', id), ...tables.split(' ').flatMap(table => rowsOf(table, own, id)),
  ...queries.flatMap(query => rows(`SELECT ${query}`, id)), ...own === 'run' ? [configOf(id)] : []]))

// Runs: config, seal, events.
const SUMMARY = columns('metric_series').split(',').slice(2)
const sealOf = run => hex([
  ...rows(`SELECT 'run', run_id, status, reason, traceback, started_at, ended_at, duration_ms, config_hash,
    family, fingerprint, host, vcs_commit, vcs_dirty FROM run WHERE id = ?`, run),
  ...rowsOf('run_environment', 'run', run), ...rowsOf('run_config', 'run', run), configOf(run),
  ...rows(`SELECT 'metric_series', name, ${SUMMARY}, checksum ${NAMED} WHERE run = ? ORDER BY 2`, run),
].map(row => `${list(row)}\n`).join(''))
for (const [id, run, hash, family, fingerprint, seal, snapshot, ...code] of rows(`SELECT id, run_id,
  config_hash, family, fingerprint, checksum, snapshot, code_digest, data_references
  FROM run JOIN run_config AS c ON c.run = id JOIN run_environment AS e ON e.run = id`)) {
  const kept = leaves(id).filter(([key]) => !/(^|\.)(seed|random_seed|random_state)$/.test(key))
  check(`config of run ${run}`, () => hex(snapshot) === hash)
  check(`family of run ${run}`, () => hex(list(kept.map(leaf => leaf.slice(0, 4)))).slice(0, 16) === family)
  check(`fingerprint of run ${run}`, () => hex(list([hash, ...code])) === fingerprint)
  check(`seal of run ${run}`, () => seal === null || seal === sealOf(id))
}
for (const [run, seq, sum, ...parts] of rows('SELECT run, seq, checksum, happened_at, kind, data FROM event'))
  check(`event ${seq} of run ${run}`, () => BigInt(crc32(parts.join('\0'))) === sum)

// The digest: what the archive says, whatever its row ids are.
const STUDY = '(SELECT uid FROM study WHERE id = study),', TRIAL = `(SELECT s.uid FROM study AS s JOIN trial
  AS t ON s.id = t.study WHERE t.id = trial), (SELECT uid FROM trial WHERE id = trial),`
const said = rows(`SELECT id, 'run', run_id, checksum, name, group_name, parent_run_id, external_id, deleted_at,
  iif(status = 'running', heartbeat_at, NULL) FROM run`).map(([id, kind, run, seal, ...row]) =>
  [kind, run, seal ?? sealOf(id), ...row])
for (const [lead, tables] of [['', `run_group study${PAGE_VIEW}`], ['(SELECT run_id FROM run WHERE id = run),',
  'run_owner run_tag note event run_input artifact run_attribute artifact_alias run_ingest'],
  ['(SELECT name FROM run_group WHERE id = run_group),', 'run_group_attribute'],
  [STUDY, 'study_objective study_attribute trial'], [TRIAL, 'trial_param trial_value'],
  [`${TRIAL} row_number() OVER (PARTITION BY trial ORDER BY id),`, 'trial_report trial_attribute'],
]) for (const table of tables.split(' ')) {
  const told = columns(table).replace(/\b(id|blob),/g, '')
    .replace('heartbeat_at', "iif(state = 'running', heartbeat_at, NULL)")
  said.push(...rows(`SELECT '${table}', ${lead} ${told} FROM ${table}`))
}
const lines = said.map(row => Buffer.from(`${list(row)}\n`))
const digest = hex(Buffer.concat(lines.sort(Buffer.compare)))
console.log(`digest: ${digest}`)

// Series: the points in the archive, and those in the journals beside it. This machine is little-endian.
const ODD = [0x9e3779b97f4a7c15n, 0x3243f6a8885a308dn, 0x313198a2e0370735n, 0xa4093822299f31d1n]
const crcOf = crcs => BigInt(crc32(Uint32Array.from(crcs, Number))), pointLines = []
for (const [run, sum, checksum, ...row] of rows(`SELECT run_id, s.rows_sum, s.checksum, 'metric_series', s.id,
  run, n.name, ${SUMMARY.slice(0, -1)} ${NAMED} JOIN run ON run.id = run ORDER BY run_id, n.name`)) {
  const id = row[1], metric = row[3], blocks = [], what = `metric ${metric} of run ${run}`
  const all = createHash('sha256')
  const points = rows('SELECT step, seq, time_ms, value FROM metric_point WHERE series = ? ORDER BY 1, 2', id)
  const cells = points.map(([step, seq, time, value]) => [step, seq, time, bitsOf(value ?? NaN)])
  check(`sum of ${what}`, () => sum === sumOf([row], cells.flat().reduce((a, b, i) => a + b * ODD[i % 4], 0n)))
  for (let at = 0; at < points.length; at += 1024) {
    const block = [0, 1, 2, 3].map(place => BigInt64Array.from(cells.slice(at, at + 1024), one => one[place]))
    blocks.push([points[at][0], points[at][1], crcOf(block.map(column => crc32(column)))])
    block.forEach(column => all.update(column))
  }
  pointLines.push(`${list([run, metric, row[4], all.digest('hex')])}\n`)
  check(`points of ${what}`, () => checksum === null || crcOf(blocks.map(block => block[2])) === checksum)
  const stored = rows('SELECT step, seq, crc FROM metric_check WHERE series = ? ORDER BY 1, 2', id)
  check(`blocks of ${what}`, () => list(stored) === list(checksum !== null && blocks[1] ? blocks : []))
  console.log(points.map(point => [run, metric, ...point.slice(0, 3), point[3] ?? NaN].join('\t')).join('\n'))
}
for (const [counts, content, points] of rows('SELECT row_counts, content, points FROM seal')) {
  for (const [table, count] of Object.entries(JSON.parse(counts)))
    check(`seal of ${table}`, () => rows(`SELECT count(*) FROM ${JSON.stringify(table)}`)[0][0] == count)
  check('seal of the content', () => digest === content)
  check('seal of the points', () => hex(pointLines.join('')) === points)
}
function readJournal(name) {
  const data = readFileSync(join(dirname(file), name)), word = at => data.readUInt32LE(at), names = new Map()
  const textAt = at => data.subarray(at + 20, at + 20 + word(at + 12))
  const head = [0, 4096].find(at => crc32(textAt(at), crc32(data.subarray(at, at + 16))) === word(at + 16))
  const [birth, , nonce, count] = JSON.parse(textAt(head))
  assert.equal(birth, rows('SELECT applied_at, sha256 FROM migration WHERE number = 1')[0].join(' '))
  const [drained] = rows('SELECT drained FROM metric_journal WHERE journal = ?', name.slice(-15, -7))[0] ?? [0n]
  const segments = Array.from({ length: count }, (_, number) => 12288 + number * 1044480)
  for (const begin of segments.sort((one, other) => word(one + 20) - word(other + 20))) {
    const epoch = word(begin + 20), seed = crc32(BigUint64Array.of(BigInt(epoch)), nonce)
    for (let at = begin, end; at < begin + 1044480; at = end) {
      end = Math.min(at + 48 * (word(at + 44) || 1), begin + 1044480)
      const isRight = word(at) * 48 === at && crc32(data.subarray(at, end - 8), seed) === word(end - 8)
      const index = data.readBigUInt64LE(at + 8), address = epoch * 21760 + (at - begin) / 48
      if (!isRight) end = at + 48
      else if (index >> 63n) names.set(BigInt.asUintN(63, index),
        [data.toString('latin1', at + 24, at + 40), data.toString('utf8', at + 48, at + 48 + word(at + 16))])
      else for (; address >= drained && at < end; at += 48)
        console.log([...names.get(data.readBigUInt64LE(at + 8)), data.readBigInt64LE(at + 16), 'waiting',
          Math.trunc(data.readDoubleLE(at + 24)), data.readDoubleLE(at + 32)].join('\t'))
    }
  }
}
for (const name of readdirSync(dirname(file)))
  if (basename(file) + name.match(/\.\w{8}-\d+-\w{8}\.points$/) === name) check(name, () => readJournal(name))

// Artifacts: chunks, blobs, folders.
function unpack(chunk) {
  const [[digest, size, codec, taken, data]] = rows(`SELECT sha256, raw_bytes, codec, stored_bytes, data
    FROM chunk JOIN chunk_data ON chunk = id WHERE id = ?`, chunk)
  const packed = codec === 'raw' ? data : zstdDecompressSync(data, { maxOutputLength: Number(size) })
  const found = Buffer.alloc(packed.length), [, width = 1] = codec.match(/^(?:raw|(?:shuffle(.)\+)?zstd)$/)
  for (let lane = 0, from = 0, step = Number(width); lane < step; lane++)
    for (let to = lane; to < found.length; to += step) found[to] = packed[from++]
  assert(sha256(found).equals(digest) && found.length == size && data.length == taken, `chunk ${chunk}`)
  return found
}
for (const [chunk] of rows('SELECT id FROM chunk')) check(`chunk ${chunk}`, () => unpack(chunk))
function content(blob) {
  const [[hash, size, sum]] = rows('SELECT hash, size_bytes, list_sha256 FROM blob WHERE id = ?', blob)
  const parts = rows(`SELECT offset_bytes, sha256, chunk FROM blob_chunk JOIN chunk ON id = chunk
    WHERE blob = ? ORDER BY 1`, blob)
  const whole = Buffer.alloc(Number(size))
  const end = parts.reduce((at, [from, , chunk]) => from == at ? at + unpack(chunk).copy(whole, at) : NaN, 0)
  assert(sha256(Buffer.concat(parts.map(part => part[1]))).equals(sum), `blob ${blob} has other chunks`)
  assert(`sha256:${hex(whole)}` === hash && end == size, `blob ${blob} has another content`)
  return whole
}
const UNSAFE = [/(^|\/)\.{0,2}(\/|$)/, /[<>:"|?*\\\x00-\x1f\x7f-\x9f]|[. ](\/|$)/, /[^/]{256}|^(.*\/){100}/,
  /(^|\/)(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[1-9¹²³]) *(\.|\/|$)/i]
if (target) mkdirSync(target) // It is new, so no link lies below it.
function restore(path, mode, data) {
  assert(!UNSAFE.some(rule => rule.test(path)), `the path ${JSON.stringify(path)} is not safe`)
  mkdirSync(join(target, data ? dirname(path) : path), { recursive: true })
  if (data) writeFileSync(join(target, path), data, { flag: 'wx' })
  return () => chmodSync(join(target, path), Number(mode & 0o777n))
}
for (const [id, blob, sum, ...row] of rows(`SELECT a.id, blob, a.checksum, run_id, a.name, version, kind, hash,
  is_text, media_type, step, metadata, created_at FROM artifact AS a JOIN run ON run.id = run`)) {
  const [run, name, version, , hash, , type] = row, top = `${run}/${version}/${name}`
  check(`artifact ${top}`, () => BigInt(crc32(list(row))) === sum)
  if (blob !== null) check(`content of artifact ${top}`, () => {
    const isFolder = type === 'application/vnd.exptrack.folder+json', data = content(blob)
    const entries = rows(`SELECT path, mode, hash, size_bytes, blob FROM artifact_entry
      LEFT JOIN blob ON id = blob WHERE artifact = ? ORDER BY 1`, id)
    const manifest = list([1n, entries.map(entry => entry.slice(0, entry[4] === null ? 2 : 4))])
    assert(`sha256:${hex(data)}` === hash && (!isFolder || manifest === data.toString()), 'it does not match')
    const files = entries.map(([path, mode, , , inside]) => [`${top}/${path}`, mode, inside && content(inside)])
    files.unshift(isFolder ? [top, 0o755n] : [top, 0o644n, data])
    if (target) files.map(one => restore(...one)).reverse().forEach(setMode => setMode())
  })
}
