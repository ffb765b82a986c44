// The script editor: CodeMirror in a shadow root, so that its styles need no permission of the page's policy. Loaded when a converter is opened.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { javascript } from "@codemirror/lang-javascript";
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, lintGutter, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { t } from "../texts";

export interface Place {
  line: number;
  column: number;
  message: string;
}

export interface Editor {
  text: () => string;
  set: (text: string) => void;
  mark: (error: Place | null) => void;
  show: (line: number) => void;
  destroy: () => void;
}

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.controlKeyword, tags.definitionKeyword, tags.modifier], color: "var(--code-keyword)" },
  { tag: [tags.string, tags.regexp, tags.special(tags.string)], color: "var(--code-string)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--code-number)" },
  { tag: [tags.comment, tags.lineComment, tags.blockComment], color: "var(--code-comment)" },
  { tag: [tags.function(tags.variableName), tags.function(tags.definition(tags.variableName)), tags.function(tags.propertyName)], color: "var(--code-function)" },
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--code-property)" },
]);

const look = EditorView.theme({
  "&": { height: "100%", color: "var(--ink)", backgroundColor: "var(--surface)", fontSize: "13px" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.5" },
  ".cm-gutters": { backgroundColor: "var(--sunken)", color: "var(--ink-2)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--hover)" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "-2px" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--selected) !important" },
  ".cm-tooltip, .cm-panels": { backgroundColor: "var(--surface)", color: "var(--ink)", border: "1px solid var(--line)" },
  ".cm-diagnostic-error": { borderLeft: "3px solid var(--bad)" },
  ".cm-textfield, .cm-button": { background: "var(--sunken)", color: "var(--ink)", border: "1px solid var(--line)" },
});

// What is typed over a selection: left to itself, the browser keeps the look of what was there, by a style that the page's policy refuses.
const typedOver = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { from, to, empty } = view.state.selection.main;
    const typed = event.data;
    if (event.inputType !== "insertText" || !typed || empty || view.composing || view.state.readOnly) return false;
    const insert = () => view.state.update(view.state.replaceSelection(typed), { userEvent: "input.type", scrollIntoView: true });
    if (!view.state.facet(EditorView.inputHandler).some((handle) => handle(view, from, to, typed, insert))) view.dispatch(insert());
    event.preventDefault();
    return true;
  },
});

// The editor's own words.
const words = () => ({
  Find: t("editor.find"), Replace: t("editor.replace"), next: t("editor.next"), previous: t("editor.previous"), all: t("editor.all"), "match case": t("editor.case"), regexp: t("editor.regexp"),
  "by word": t("editor.word"), replace: t("editor.replace.one"), "replace all": t("editor.replace.all"), close: t("close"), "Go to line": t("editor.line"), go: t("editor.go"),
});

export function editor(host: HTMLElement, text: string, label: string, readOnly: boolean, changed: (text: string) => void, run: () => void): Editor {
  const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  root.replaceChildren();
  const view = new EditorView({
    parent: root,
    root,
    state: EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(), highlightActiveLineGutter(), highlightActiveLine(), history(), drawSelection(), indentOnInput(), bracketMatching(), closeBrackets(),
        autocompletion(), highlightSelectionMatches(), search({ top: true }), lintGutter(), javascript(), syntaxHighlighting(colours), look,
        EditorState.readOnly.of(readOnly), EditorState.phrases.of(words()), typedOver,
        EditorView.contentAttributes.of({ "aria-label": label }),
        // Escape, then Tab leaves the editor: CodeMirror's own rule
        keymap.of([{ key: "Mod-Enter", run: () => (run(), true) }, ...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...completionKeymap, indentWithTab]),
        EditorView.updateListener.of((update) => update.docChanged && changed(update.state.doc.toString())),
      ],
    }),
  });
  view.scrollDOM.tabIndex = 0; // a box that scrolls can be reached by the keyboard
  const at = (line: number) => view.state.doc.line(Math.min(Math.max(1, line), view.state.doc.lines));
  return {
    text: () => view.state.doc.toString(),
    set: (now) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: now } }),
    mark: (error) => {
      const found: Diagnostic[] = [];
      if (error) {
        const line = at(error.line);
        const from = Math.min(line.from + Math.max(0, error.column - 1), line.to);
        found.push({ from, to: Math.min(line.to, Math.max(from + 1, view.state.wordAt(from)?.to ?? 0)), severity: "error", message: error.message });
      }
      view.dispatch(setDiagnostics(view.state, found));
    },
    show: (line) => view.dispatch({ selection: { anchor: at(line).from }, effects: EditorView.scrollIntoView(at(line).from, { y: "center" }) }),
    destroy: () => view.destroy(),
  };
}
