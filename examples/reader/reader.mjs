// Read an exptrack archive by docs/format.md alone: check all it holds, print its curves, restore its artifacts.
import { createHash } from 'node:crypto'
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { crc32, zstdDecompressSync } from 'node:zlib'

const [file, target] = process.argv.slice(2)
const db = new DatabaseSync(file, { readOnly: true })
let problems = 0
const tell = (where, what) => { problems++; console.log(JSON.stringify({ problem: what, where })) }
const check = (found, stored, where, what) => found === stored || tell(where, `${what} does not match`)

// Values: an INTEGER is a BigInt, a REAL is a number.
function rows(sql, ...values) {
  const statement = db.prepare(sql)
  statement.setReadBigInts(true)
  statement.setReturnArrays(true)
  return statement.all(...values)
}
const byBytes = (one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other))
function float(value) {
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity'
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  const [mantissa, e] = Math.abs(value).toExponential().split('e')
  const digits = mantissa.replace('.', '')
  if (e < -4 || e > 15) return `${sign}${mantissa}e${e[0]}${e.slice(1).padStart(2, '0')}`
  if (e < 0) return `${sign}0.${'0'.repeat(-e - 1)}${digits}`
  const whole = Number(e) + 1
  return `${sign}${digits.slice(0, whole).padEnd(whole, '0')}.${digits.slice(whole) || '0'}`
}
function json(value) {
  if (typeof value === 'number') return float(value)
  if (typeof value === 'string') return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(json)}]`
  if (value instanceof Uint8Array) return json(Buffer.from(value).toString('hex'))
  if (value === null || typeof value !== 'object') return String(value)
  if (JSON.isRawJSON(value)) return value.rawJSON
  return `{${Object.keys(value).sort(byBytes).map(key => `${json(key)}:${json(value[key])}`)}}`
}
const parse = text => JSON.parse(text, (_, value, it) => typeof value === 'number' ? JSON.rawJSON(it.source) : value)
const sha256 = data => createHash('sha256').update(data).digest()
const hex = data => sha256(data).toString('hex')
const hashRow = (kind, row) => sha256(json([kind, ...row])).readBigInt64BE()

// Sums of rows: for each table with rows_sum, the kinds of its rows and what to SELECT for one id.
const SUMMARY = `count, nan_count, first_step, first_value, last_step, last_value, last_time_ms, top_step, min_step,
  min_value, max_step, max_value, value_sum`
const ENVIRONMENT = `python, platform, command, script, vcs_branch, vcs_remote, code_digest, system, variables,
  data_references FROM run_environment WHERE run = ?`
const CONFIG = 'format, snapshot, source_files, overrides FROM run_config WHERE run = ?'
const LEAVES = 'FROM config_value AS v JOIN config_key AS k ON k.id = v.key'
const SOURCES = `k.key, s.kind, s.name, s.line ${LEAVES} LEFT JOIN config_source AS s ON s.id = v.source
  WHERE v.run = ? ORDER BY k.key`
const NAMED = 'FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric'
const SUMS = {
  run: [
    ['run', `id, run_id, status, reason, traceback, name, group_name, parent_run_id, external_id, deleted_at,
      started_at, ended_at, heartbeat_at, duration_ms, config_hash, family, fingerprint, host, vcs_commit,
      vcs_dirty, host_id, boot_id, pid, pid_started, lease_s FROM run LEFT JOIN run_owner ON run = id WHERE id = ?`],
    ['environment', ENVIRONMENT],
    ['config', CONFIG],
    ['tag', 'tag, added_at FROM run_tag WHERE run = ?'],
    ['note', 'written_at, text FROM note WHERE run = ?'],
    ['event', 'happened_at, kind, data, late FROM event WHERE run = ?'],
    ['input', 'hash, from_run_id, name, version, used_at FROM run_input WHERE run = ?'],
    ['artifact', `id, name, version, kind, hash, is_text, media_type, step, metadata, description, created_at,
      removed_at, checksum FROM artifact WHERE run = ?`],
    ['attribute', 'key, type, num, text, set_at FROM run_attribute WHERE run = ?'],
    ['alias', 'name, alias, version, set_at FROM artifact_alias WHERE run = ?'],
    ['ingest', 'source, sequence, stored_at FROM run_ingest WHERE run = ?'],
    ['metric', `n.name ${NAMED} WHERE s.run = ?`],
    ['seal', 'checksum FROM run WHERE id = ? AND checksum IS NOT NULL'],
  ],
  run_group: [
    ['group', 'name, created_at, changed_at, deleted_at FROM run_group WHERE id = ?'],
    ['attribute', 'key, type, num, text, set_at FROM run_group_attribute WHERE run_group = ?'],
  ],
  study: [
    ['study', 'id, uid, name, created_at, settings FROM study WHERE id = ?'],
    ['objective', 'position, direction, metric FROM study_objective WHERE study = ?'],
    ['attribute', 'id, scope, name, value FROM study_attribute WHERE study = ?'],
    ['number', 'number FROM trial WHERE study = ?'],
  ],
  trial: [
    ['trial', `id, uid, number, state, run_id, started_at, ended_at, duration_ms, heartbeat_at, reason, owner
      FROM trial WHERE id = ?`],
    ['param', 'position, name, value, type, num, text, distribution FROM trial_param WHERE trial = ?'],
    ['value', 'id, position, value FROM trial_value WHERE trial = ?'],
    ['report', 'id, step, value FROM trial_report WHERE trial = ?'],
    ['attribute', 'id, scope, name, value FROM trial_attribute WHERE trial = ?'],
  ],
  metric_series: [['series', `s.id, s.run, n.name, ${SUMMARY} ${NAMED} WHERE s.id = ?`]],
}
const extra = {
  run: id => hashRow('sources', rows(`SELECT ${SOURCES}`, id)),
  metric_series: id => points(id).reduce((sum, [step, seq, time, value]) =>
    sum + step * A + seq * B + time * C + bits(value) * D, 0n),
}
const [A, B, C, D] = [0x9e3779b97f4a7c15n, 0x3243f6a8885a308dn, 0x313198a2e0370735n, 0xa4093822299f31d1n]
const points = id => rows('SELECT step, seq, time_ms, value FROM metric_point WHERE series = ? ORDER BY 1, 2', id)
const bits = value => new BigInt64Array(new Float64Array([value ?? NaN]).buffer)[0]
function checkSums(table, name) {
  for (const [id, stored, where] of rows(`SELECT id, rows_sum, ${name} FROM ${table}`)) {
    let sum = extra[table]?.(id) ?? 0n
    for (const [kind, sql] of SUMS[table]) for (const row of rows(`SELECT ${sql}`, id)) sum += hashRow(kind, row)
    check(BigInt.asIntN(64, sum), stored, `${table} ${where}`, 'rows_sum')
  }
}

// Rows that have a checksum of their own, and views.
for (const [kind, table, columns] of [
  ['migration', 'migration', 'number, name, sha256, applied_at, library'],
  ['journal', 'metric_journal', 'journal, drained'],
  ['writer', 'blob_writer', `blob, holder, host_id, boot_id, pid, pid_started, written_at,
    (SELECT hash FROM blob WHERE id = blob)`],
  ['user_view', 'user_view', 'name, fields'],
  ['seal', 'seal', 'id, format, library, sealed_at, row_counts, content, points'],
]) for (const [stored, ...row] of rows(`SELECT checksum, ${columns} FROM ${table}`)) {
  check(hashRow(kind, row), stored, `${table} ${row[0]}`, 'checksum')
}
for (const [name, sql] of rows("SELECT name, sql FROM sqlite_schema WHERE type = 'view'")) {
  const mark = sql.match(/^CREATE VIEW \S+ AS -- checksum (-?\d+)\n/)
  if (mark) check(hashRow('view', [name, sql.slice(mark[0].length)]), BigInt(mark[1]), `view ${name}`, 'checksum')
}
for (const [table, name] of Object.entries({ run: 'run_id', run_group: 'name', study: 'name', trial: 'uid', metric_series: 'id' })) {
  checkSums(table, name)
}
