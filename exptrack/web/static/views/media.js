/**
 * Images, tables and texts of many runs, at /media?where&name&step: a row for each run, a column for each name or
 * step, all of one size. One slider moves all of them through the steps. A click shows one large.
 */
import { html, useEffect, useMemo, useRef, useState } from "../vendor/ui.js";
