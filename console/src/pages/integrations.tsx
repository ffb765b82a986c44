// Where data goes, and what waits for whom.
import { get } from "../core/api";
import { duration, number } from "../core/format";
import { useLoad } from "../core/load";
import { href } from "../core/router";
import type { Integration, List as Items } from "../core/types";
import { t } from "../texts";
import { Ago, Empty, Page, Panel, State } from "../ui/basic";
import { Icon } from "../ui/icons";
import { List } from "../ui/list";
import { NAMES } from "./gallery";

export function Integrations() {
  const load = useLoad((signal) => get<Items<Integration>>("/integrations", { limit: 1000 }, signal), [], 3000);
  return (
    <Page title={t("nav.integrations")} wide command="iotgwctl integrations" actions={<a class="button primary" href="#/connect/target"><Icon name="plus" /> {t("gallery.to")}</a>}>
      <Panel load={load} flush empty={(found) => !found.items.length && <Empty icon="integrations" title={t("integrations.none")}><a class="button primary" href="#/connect/target">{t("gallery.to")}</a></Empty>}>
        {(found) => (
          <List
            label={t("nav.integrations")} items={found.items} id={(each) => each.id} link={(each) => href(["integrations", each.name])} kind={(each) => (each.status.state === "unavailable" ? "failed" : "")}
            columns={[
              { key: "name", title: t("name"), width: "minmax(8rem,1fr)", cell: (each) => each.name, narrow: "main" },
              { key: "state", title: t("state"), width: "8.6rem", cell: (each) => <State value={each.status.state} />, narrow: "side" },
              { key: "type", title: t("kind"), width: "minmax(6rem,.7fr)", cell: (each) => NAMES[each.type] ?? each.type },
              { key: "delivered", title: t("overview.delivered"), width: "6.5rem", cell: (each) => number(each.status.delivered), end: true },
              { key: "waiting", title: t("overview.backlog"), width: "6rem", cell: (each) => number(each.status.waiting), end: true, narrow: "below" },
              { key: "oldest", title: t("overview.oldest"), width: "6rem", cell: (each) => (each.status.oldestAge ? duration(each.status.oldestAge) : <span class="dim">–</span>), end: true },
              { key: "dead", title: t("overview.dead"), width: "5rem", cell: (each) => (each.status.dead ? <span class="error-text">{number(each.status.dead)}</span> : "0"), end: true },
              { key: "balance", title: t("accounts"), width: "4.5rem", cell: (each) => <span class={each.status.balanced ? "good-text" : "error-text"} title={each.status.balanced ? t("accounts.balanced") : t("accounts.unbalanced")}>{each.status.balanced ? "✓" : "≠"}</span>, end: true },
              { key: "error", title: t("last.error"), width: "minmax(9rem,1.6fr)", cell: (each) => (each.status.lastError ? <span class={each.status.state === "unavailable" ? "error-text" : "dim"}>{each.status.lastError} (<Ago ms={each.status.lastErrorAt} />)</span> : <span class="dim">–</span>), narrow: "below" },
            ]}
          />
        )}
      </Panel>
    </Page>
  );
}
