// Which view a page has. The first one comes with the frame; all others are loaded together when one of them is first opened.
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Empty, Page, Skeleton } from "../ui/basic";
import { t } from "../texts";
import { Overview } from "./overview";

type View = ComponentType<{ name: string; rest: string[] }>;
type Others = typeof import("./others");

const PAGES: Record<string, [list: keyof Others, one?: keyof Others]> = {
  messages: ["Messages", "MessageView"],
  failures: ["Failures", "Failure"],
  events: ["Events"],
  devices: ["Devices", "DevicePage"],
  downlinks: ["Downlinks"],
  credentials: ["Credentials", "Credentials"],
  datasources: ["Datasources", "DatasourcePage"],
  converters: ["Converters", "ConverterPage"],
  integrations: ["Integrations", "IntegrationPage"],
  connect: ["Gallery", "Gallery"],
  jobs: ["Jobs", "JobPage"],
  usage: ["Usage"],
  tokens: ["Tokens"],
  settings: ["Settings"],
};

let others: Others | undefined;

// The view of a page; none where it is in a file that has to be loaded first.
function viewOf(page: string, name: string): View | undefined {
  if (page === "overview" && !name) return Overview;
  const view = PAGES[page]?.[name ? 1 : 0];
  return view ? (others?.[view] as View | undefined) : Missing;
}

export function PageOf({ path }: { path: string[] }) {
  const [page = "overview", name = "", ...rest] = path;
  const [lost, lose] = useState(false);
  const [, loaded] = useState(0);
  const View = viewOf(page, name);
  useEffect(() => {
    if (View) return;
    import("./others").then(
      (found) => {
        others = found;
        loaded(1);
      },
      () => lose(true),
    );
  }, []);
  if (lost)
    return (
      <Page title={t("page.lost")}>
        <Empty icon="warn" title={t("page.lost.hint")}>
          <button type="button" class="button" onClick={() => location.reload()}>
            {t("page.reload")}
          </button>
        </Empty>
      </Page>
    );
  if (!View) return <Skeleton />;
  return <View name={name} rest={rest} />;
}

function Missing() {
  return (
    <Page title={t("page.none")}>
      <Empty title={t("page.none.hint")}>
        <a class="button" href="#/overview">
          {t("nav.overview")}
        </a>
      </Empty>
    </Page>
  );
}
