// Where data comes in.
import { get } from "../core/api";
import { number } from "../core/format";
import { useLoad } from "../core/load";
import { href } from "../core/router";
import type { Datasource, List as Items } from "../core/types";
import { t } from "../texts";
import { Empty, Page, Panel, State } from "../ui/basic";
import { Icon } from "../ui/icons";
import { List } from "../ui/list";
import { NAMES } from "./gallery";

export function Datasources() {
  const load = useLoad((signal) => get<Items<Datasource>>("/datasources", { limit: 1000 }, signal), [], 5000);
  return (
    <Page title={t("nav.datasources")} wide command="iotgwctl datasources" actions={<a class="button primary" href="#/connect"><Icon name="plus" /> {t("gallery.source")}</a>}>
      <Panel load={load} flush empty={(found) => !found.items.length && <Empty icon="datasources" title={t("datasources.none")}><p>{t("overview.empty.hint")}</p><a class="button primary" href="#/connect">{t("gallery.source")}</a></Empty>}>
        {(found) => (
          <List
            label={t("nav.datasources")} items={found.items} id={(each) => each.id} link={(each) => href(["datasources", each.name])}
            columns={[
              { key: "name", title: t("name"), width: "minmax(8rem,1fr)", cell: (each) => each.name, narrow: "main" },
              { key: "state", title: t("state"), width: "8rem", cell: (each) => <State value={each.status.state} />, narrow: "side" },
              { key: "type", title: t("kind"), width: "minmax(7rem,.8fr)", cell: (each) => NAMES[each.type] ?? each.type, narrow: "below" },
              { key: "address", title: t("address"), width: "minmax(11rem,1.6fr)", cell: (each) => <code>{each.status.address}</code> },
              { key: "converter", title: t("converter"), width: "minmax(7rem,1fr)", cell: (each) => each.converter || <span class="dim">–</span> },
              { key: "received", title: t("overview.received"), width: "6rem", cell: (each) => number(each.status.counts.received), end: true, narrow: "below" },
              { key: "failed", title: t("overview.failed"), width: "6rem", cell: (each) => (each.status.counts.failed ? <span class="error-text">{number(each.status.counts.failed)}</span> : "0"), end: true },
            ]}
          />
        )}
      </Panel>
    </Page>
  );
}
