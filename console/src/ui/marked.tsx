// `code` in descriptions; links of the documents are left as their texts.
export function marked(text: string) {
  return text
    .replace(/\[([^\]]+)\]\([^)]*\)/g, "$1")
    .split(/(`[^`]+`)/)
    .map((piece, i) => (piece.startsWith("`") ? <code key={i}>{piece.slice(1, -1)}</code> : piece));
}
