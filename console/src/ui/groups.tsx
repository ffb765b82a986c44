// Groups of what fails for one reason, a row each.
import { href } from "../core/router";
import type { Group } from "../core/types";
import { number } from "../core/format";
import { t, word } from "../texts";
import { Ago } from "./basic";
import { Icon } from "./icons";

// Groups of further pages with the same id belong together.
export function merged(groups: Group[]): Group[] {
  const found = new Map<string, Group>();
  for (const group of groups) {
    const was = found.get(group.id);
    found.set(
      group.id,
      was
        ? { ...was, count: was.count + group.count, first: Math.min(was.first, group.first), last: Math.max(was.last, group.last), datasources: [...new Set([...was.datasources, ...group.datasources])] }
        : group,
    );
  }
  return [...found.values()];
}

export function GroupRow({ group }: { group: Group }) {
  return (
    <li class="group" data-row>
      <span class={`kind ${group.kind}`}>
        <Icon name={group.kind === "conversion" ? "converters" : group.kind === "delivery" ? "integrations" : "tokens"} />
      </span>
      <div class="what">
        <a class="row-link" href={href(["failures", group.id])}>
          {group.pattern}
        </a>
        <span class="dim">
          {word(group.kind)} · {group.where}
          {group.version ? ` v${group.version}` : ""}
          {group.error.line ? ` · ${t("at.line", { line: group.error.line, column: group.error.column ?? 1 })}` : ""}
          {group.datasources.length > 0 && ` · ${group.datasources.join(", ")}`}
        </span>
      </div>
      <b class="number big">{number(group.count)}</b>
      <span class="when">
        <Ago ms={group.last} />
      </span>
    </li>
  );
}
