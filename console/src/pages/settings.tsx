// How the page looks, and what runs behind it.
import type { ComponentChildren } from "preact";
import { get } from "../core/api";
import { size } from "../core/format";
import { useLoad } from "../core/load";
import { session } from "../core/session";
import { setTheme, theme } from "../core/theme";
import type { Flow, Kept, Status } from "../core/types";
import { choose, language, t, word } from "../texts";
import { Ago, Box, Field, Page, Panel, State, Time } from "../ui/basic";
import { Pairs } from "../ui/data";

const isWhole = (journal: Status["journal"]): journal is Flow & Kept => journal.fileBytes !== undefined;

function disk(journal: Kept): [string, ComponentChildren][] {
  return [
    [t("settings.disk"), `${size(journal.fileBytes)} · ${t("settings.wal", { size: size(journal.walBytes) })}`],
    [t("settings.room"), <State key="r" value={journal.room ? "ok" : "failed"} text={journal.room ? t("settings.room.yes") : journal.problem || t("settings.room.no")} />],
    [t("settings.oldest"), <Time key="o" ms={journal.uplink.oldest} />],
  ];
}

export function Settings() {
  const load = useLoad((signal) => get<Status>("/status", { tenant: undefined }, signal), [], 10_000);
  return (
    <Page title={t("nav.settings")} command="iotgwctl status">
      <Box title={t("settings.look")}>
        <div class="inline-fields">
          <Field label={t("settings.theme")}>
            <select value={theme.value} onChange={(event) => setTheme(event.currentTarget.value as "system")}>
              {(["system", "light", "dark"] as const).map((each) => (
                <option key={each} value={each}>
                  {t(`theme.${each}`)}
                </option>
              ))}
            </select>
          </Field>
          <Field label={t("settings.language")}>
            <select value={language} onChange={(event) => choose(event.currentTarget.value as "en")}>
              <option value="en" lang="en">English</option>
              <option value="de" lang="de">Deutsch</option>
            </select>
          </Field>
        </div>
      </Box>
      <Panel load={load} title={t("settings.health")}>
        {(is) => (
          <Pairs
            items={[
              [t("state"), <State key="s" value={is.ready ? "healthy" : "failed"} text={is.ready ? t("settings.ready") : (is.notReadyBecause ?? "")} />],
              [t("settings.version"), <code key="v">{is.version}</code>],
              [t("started"), <span key="t"><Time ms={is.startedAt} /> (<Ago ms={is.startedAt} />)</span>],
              ...(isWhole(is.journal) ? disk(is.journal) : []),
              [t("settings.confined"), is.confinement.by],
              ...is.faults.map((each): [string, ComponentChildren] => [t("settings.fault"), <span key={each} class="error-text">{each}</span>]),
            ]}
          />
        )}
      </Panel>
      <Box title={t("settings.you")}>
        <Pairs
          items={[
            [t("name"), session.value?.name],
            [t("role"), word(session.value?.role ?? "")],
            [t("tenant"), session.value?.tenant === "*" ? t("tenant.all") : session.value?.tenant],
            [t("settings.until"), <Time key="u" ms={session.value?.endsAt} />],
          ]}
        />
      </Box>
      <Box title={t("settings.about")}>
        <p>{t("settings.licence")}</p>
        <p>
          <a href="THIRD-PARTY.txt">{t("settings.third")}</a> · <a href="../api/v1/openapi.json">{t("settings.api")}</a>
        </p>
      </Box>
    </Page>
  );
}
