/** Runs one SELECT of a person over the copy in memory, which cannot be written. */
import { describeStatement, each } from "./database.js";
import { Problem } from "./problem.js";

const MAX_ROWS = 10_000;

function runSql(_question, { query, limit }) {
    let statement;
    try {
        statement = describeStatement(query);
    } catch (error) {
        throw new Problem(
            "QueryError",
            `SQL: ${error.message.replace(/^.*?sqlite3 result code \d+: /, "")}`,
            400,
        );
    }
    if (!statement.columns.length) {
        throw new Problem("QueryError", "the statement returns no rows; give one SELECT statement", 400);
    }
    if (!isBlank(query.slice(statement.text.length))) {
        throw new Problem("QueryError", "there is more than one statement; give one SELECT statement", 400);
    }
    const most = limit ?? MAX_ROWS;
    const rows = [];
    each(query, [], (row) => rows.push(row), most + 1);
    return { columns: statement.columns, rows: rows.slice(0, most), truncated: rows.length > most };
}

/** Whether a text has only blanks, semicolons and comments. */
const isBlank = (text) => /^(?:[\s;]|--[^\n]*(?:\n|$)|\/\*[^]*?\*\/)*$/.test(text);

export const HANDLERS = [["/api/sql", runSql]];
