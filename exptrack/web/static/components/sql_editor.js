/**
 * An editor for one SELECT: CodeMirror in a shadow root, as it adds style elements, which the page's policy
 * forbids. The page's colours reach into it as variables.
 */
import { html, useEffect, useRef } from "../vendor/ui.js";

/** The parts of CodeMirror are loaded where an editor is shown, and nowhere else. */
const load = () => import("../vendor/codemirror.js");

function appearance({ EditorView, HighlightStyle, syntaxHighlighting, tags }) {
    const theme = EditorView.theme({
        "&": { color: "var(--text)", backgroundColor: "var(--bg)", fontSize: "13px", height: "100%" },
        "&.cm-focused": { outline: "none" },
        ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "20px" },
        ".cm-content": { padding: "8px 0", caretColor: "var(--text)" },
        ".cm-gutters": { backgroundColor: "var(--bg-soft)", color: "var(--text-faint)", border: "none" },
        ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "transparent" },
        ".cm-cursor": { borderLeftColor: "var(--text)" },
        "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
            backgroundColor: "var(--bg-chosen)",
        },
        ".cm-placeholder": { color: "var(--text-faint)" },
        ".cm-matchingBracket": { backgroundColor: "var(--mark)" },
        ".cm-tooltip": {
            color: "var(--text)",
            backgroundColor: "var(--bg-raised)",
            border: "1px solid var(--line-strong)",
            borderRadius: "6px",
            boxShadow: "var(--shadow)",
            overflow: "hidden",
        },
        ".cm-tooltip-autocomplete > ul > li": { padding: "2px 8px", fontFamily: "var(--mono)" },
        ".cm-tooltip-autocomplete > ul > li[aria-selected]": {
            color: "var(--text)",
            backgroundColor: "var(--bg-chosen)",
        },
        ".cm-completionDetail": { color: "var(--text-soft)", fontStyle: "normal" },
    });
    const marks = HighlightStyle.define([
        { tag: tags.keyword, color: "var(--link)", fontWeight: "600" },
        { tag: [tags.string, tags.special(tags.string)], color: "var(--good)" },
        { tag: [tags.number, tags.bool, tags.null], color: "var(--warn)" },
        {
            tag: [tags.comment, tags.lineComment, tags.blockComment],
            color: "var(--text-faint)",
            fontStyle: "italic",
        },
    ]);
    return [theme, syntaxHighlighting(marks)];
}

function language({ SQLite, sql }, schema) {
    return sql({ dialect: SQLite, schema, upperCaseKeywords: true });
}

/**
 * Replaces a selection by what is typed over it. Left to itself, Chromium keeps the look of the removed text in
 * a style attribute, which the page's policy refuses with a report.
 */
function typeOver(event, view) {
    if (event.inputType !== "insertText" || !event.data || view.state.selection.main.empty) return false;
    event.preventDefault();
    view.dispatch({
        ...view.state.replaceSelection(event.data),
        userEvent: "input.type",
        scrollIntoView: true,
    });
    return true;
}

function extensions(cm, schemaPart, latest) {
    const changed = cm.EditorView.updateListener.of((update) => {
        if (update.docChanged) latest.current.onChange(update.state.doc.toString());
    });
    const run = () => {
        latest.current.onRun();
        return true;
    };
    // Tab leaves the editor, as everywhere on the page; it only accepts a completion that is shown.
    const keys = [
        { key: "Mod-Enter", run, preventDefault: true },
        { key: "Tab", run: cm.acceptCompletion },
        ...cm.closeBracketsKeymap,
        ...cm.completionKeymap,
        ...cm.historyKeymap,
        ...cm.defaultKeymap,
    ];
    return [
        cm.lineNumbers(),
        cm.history(),
        cm.drawSelection(),
        cm.bracketMatching(),
        cm.closeBrackets(),
        cm.autocompletion({ icons: false }),
        cm.highlightSpecialChars(),
        cm.EditorView.lineWrapping,
        schemaPart.of(language(cm, latest.current.schema)),
        cm.keymap.of(keys),
        ...appearance(cm),
        cm.placeholder("SELECT run_id, status FROM runs LIMIT 20"),
        cm.EditorView.domEventHandlers({ beforeinput: typeOver }),
        cm.EditorView.contentAttributes.of({ "aria-label": "SQL: one SELECT", "aria-multiline": "true" }),
        changed,
    ];
}

/**
 * @param {{text: string, schema: Object<string, string[]>, onChange: (text: string) => void, onRun: () => void,
 * handle: {current: object|null}}} props `text` is what the editor shows at first. `handle` receives
 * insert(text) at the cursor, replace(text) and focus(). Showing `text` at each change would race with typing.
 */
export function SqlEditor(props) {
    const host = useRef(null);
    const editor = useRef(null);
    const latest = useRef(props);
    latest.current = props;
    useEffect(() => {
        let wanted = true;
        load().then((cm) => {
            if (!wanted || !host.current) return; // The view was left meanwhile.
            const root = host.current.shadowRoot ?? host.current.attachShadow({ mode: "open" });
            const schemaPart = new cm.Compartment();
            const doc = latest.current.text;
            const view = new cm.EditorView({
                doc,
                parent: root,
                root,
                extensions: extensions(cm, schemaPart, latest),
            });
            editor.current = { view, cm, schemaPart };
            props.handle.current = {
                insert(text) {
                    view.dispatch(view.state.replaceSelection(text), { scrollIntoView: true });
                    view.focus();
                },
                replace(text) {
                    if (view.state.doc.toString() === text) return;
                    view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
                },
                focus: () => view.focus(),
            };
        });
        return () => {
            wanted = false;
            editor.current?.view.destroy();
            [editor.current, props.handle.current] = [null, null];
        };
    }, []);
    useEffect(() => {
        if (!editor.current) return;
        const { view, cm, schemaPart } = editor.current;
        view.dispatch({ effects: schemaPart.reconfigure(language(cm, props.schema)) });
    }, [props.schema]);
    return html`<div class="sql-editor" ref=${host}></div>`;
}
