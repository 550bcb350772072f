export { Compartment, EditorState, Prec, StateEffect, StateField } from "@codemirror/state";
export {
    Decoration,
    EditorView,
    drawSelection,
    highlightActiveLine,
    highlightSpecialChars,
    keymap,
    lineNumbers,
    placeholder,
} from "@codemirror/view";
export { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
export { HighlightStyle, bracketMatching, indentOnInput, syntaxHighlighting } from "@codemirror/language";
export {
    acceptCompletion,
    autocompletion,
    closeBrackets,
    closeBracketsKeymap,
    completionKeymap,
    startCompletion,
} from "@codemirror/autocomplete";
export { SQLite, schemaCompletionSource, sql } from "@codemirror/lang-sql";
export { tags } from "@lezer/highlight";
