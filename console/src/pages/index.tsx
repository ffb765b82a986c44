// Which file has which page; each is loaded when it is first opened.
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Empty, Page, Skeleton } from "../ui/basic";
import { t } from "../texts";

type View = ComponentType<{ name: string; rest: string[] }>;
type Pages = [list: () => Promise<View>, one: () => Promise<View>];

const none = () => Promise.resolve(Missing as View);
const PAGES: Record<string, Pages> = {
  overview: [() => import("./overview").then((m) => m.Overview), none],
  messages: [() => import("./messages").then((m) => m.Messages), () => import("./message").then((m) => m.MessageView)],
  failures: [() => import("./failures").then((m) => m.Failures), () => import("./failure").then((m) => m.Failure)],
  events: [() => import("./events").then((m) => m.Events), none],
  devices: [() => import("./devices").then((m) => m.Devices), () => import("./device").then((m) => m.DevicePage)],
  downlinks: [() => import("./downlinks").then((m) => m.Downlinks), none],
  credentials: [() => import("./credentials").then((m) => m.Credentials), () => import("./credentials").then((m) => m.Credentials)],
  datasources: [() => import("./datasources").then((m) => m.Datasources), () => import("./datasource").then((m) => m.DatasourcePage)],
  converters: [() => import("./converters").then((m) => m.Converters), () => import("./converter").then((m) => m.ConverterPage)],
  integrations: [() => import("./integrations").then((m) => m.Integrations), () => import("./integration").then((m) => m.IntegrationPage)],
  connect: [() => import("./gallery").then((m) => m.Gallery), () => import("./gallery").then((m) => m.Gallery)],
  jobs: [() => import("./jobs").then((m) => m.Jobs), () => import("./jobs").then((m) => m.JobPage)],
  usage: [() => import("./usage").then((m) => m.Usage), none],
  tokens: [() => import("./tokens").then((m) => m.Tokens), none],
  settings: [() => import("./settings").then((m) => m.Settings), none],
};

export function PageOf({ path }: { path: string[] }) {
  const [view, show] = useState<{ View: View } | "lost" | null>(null);
  const [page = "overview", name = "", ...rest] = path;
  useEffect(() => {
    const pages = PAGES[page];
    (pages ? pages[name ? 1 : 0]() : none()).then(
      (View) => show({ View }),
      () => show("lost"),
    );
  }, []);
  if (view === "lost")
    return (
      <Page title={t("page.lost")}>
        <Empty icon="warn" title={t("page.lost.hint")}>
          <button type="button" class="button" onClick={() => location.reload()}>
            {t("page.reload")}
          </button>
        </Empty>
      </Page>
    );
  if (!view) return <Skeleton />;
  return <view.View name={name} rest={rest} />;
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
