// How devices prove what they are. A secret can be written here, and read by nobody.
import { useState } from "preact/hooks";
import { del, get, part, patch, post, type Problem, put } from "../core/api";
import { useLoad } from "../core/load";
import { go, href, place } from "../core/router";
import { describe } from "../core/description";
import { Schemas } from "../core/schema";
import { mayWrite } from "../core/session";
import type { List as Items, Saved } from "../core/types";
import { command } from "../core/shell";
import { t, word } from "../texts";
import { Act, Ago, Empty, Failed, Notice, Page, Panel, State } from "../ui/basic";
import { Form } from "../ui/form";
import { Icon } from "../ui/icons";
import { List } from "../ui/list";

interface Credential extends Saved {
  identity: string;
  device: string;
  status: { state: string };
  secrets: { notAfter: number | null }[];
}

export function Credentials({ name }: { name: string }) {
  return name ? <One name={name} /> : <All />;
}

function All() {
  const load = useLoad((signal) => get<Items<Credential>>("/credentials", { limit: 1000 }, signal), []);
  return (
    <Page title={t("nav.credentials")} lead={t("credentials.lead")} command="iotgwctl credentials" actions={<a class="button primary" href="#/credentials/+new"><Icon name="plus" /> {t("credential.new")}</a>}>
      <Panel load={load} flush empty={(found) => !found.items.length && <Empty icon="credentials" title={t("credentials.none")}>{t("credentials.none.hint")}</Empty>}>
        {(found) => (
          <List
            label={t("nav.credentials")} items={found.items} id={(each) => each.id} link={(each) => href(["credentials", each.name])}
            columns={[
              { key: "name", title: t("name"), width: "minmax(8rem,1fr)", cell: (each) => each.name, narrow: "main" },
              { key: "state", title: t("state"), width: "8rem", cell: (each) => <State value={each.status.state} />, narrow: "side" },
              { key: "type", title: t("kind"), width: "8rem", cell: (each) => word(each.type), narrow: "below" },
              { key: "identity", title: t("identity"), width: "minmax(12rem,2fr)", cell: (each) => <code>{each.identity}</code>, narrow: "below" },
              { key: "device", title: t("device"), width: "minmax(8rem,1fr)", cell: (each) => each.device || each.identity },
              { key: "at", title: t("changed"), width: "8rem", cell: (each) => <Ago ms={each.updatedAt} /> },
            ]}
          />
        )}
      </Panel>
    </Page>
  );
}

const FIELDS = ["name", "type", "identity", "device", "enabled", "secrets", "derive", "allowInsecure", "description"];

function One({ name }: { name: string }) {
  const isNew = name === "+new";
  const { query } = place.value;
  const load = useLoad(async (signal) => {
    const [description, found] = await Promise.all([describe(), isNew ? null : get<Credential>(`/credentials/${part(name)}`, {}, signal)]);
    return { schemas: new Schemas(description.components.schemas), found };
  }, [name]);
  const [value, change] = useState<Record<string, unknown>>();
  const [problem, setProblem] = useState<Problem>();
  const [said, say] = useState("");
  const found = load.data?.found;
  const begun = isNew ? { type: "psk", secrets: [{ encoding: "hex" }], ...(query.device && { device: query.device, name: query.device }) } : found ? Object.fromEntries(FIELDS.map((key) => [key, (found as unknown as Record<string, unknown>)[key]])) : {};
  const now = value ?? begun;
  const save = (event: SubmitEvent) => {
    event.preventDefault();
    say("");
    (isNew ? post<Credential>("/credentials", now) : put<Credential>(`/credentials/${part(name)}`, now, { match: found?.revision })).then((made) => {
      setProblem(undefined);
      if (isNew) go(["credentials", made.name]);
      else {
        change(undefined);
        load.reload();
        say(t("saved"));
      }
    }, setProblem);
  };
  const enable = () => patch(`/credentials/${part(name)}`, { enabled: !found?.enabled }, { type: "application/merge-patch+json" }).then(load.reload, setProblem);
  const remove = () => del(`/credentials/${part(name)}`).then(() => go(["credentials"]), setProblem);
  return (
    <Page
      title={isNew ? t("credential.new") : name} back={{ href: "#/credentials", text: t("nav.credentials") }} command={isNew ? "iotgwctl create credential FILE" : command(["credentials", name])}
      actions={
        found && (
          <>
            <Act may={mayWrite.value} onClick={() => void enable()}>{found.enabled ? t("disable") : t("enable")}</Act>
            <Act may={mayWrite.value} kind="danger" onClick={() => confirm(t("delete.sure", { name })) && void remove()}>{t("delete")}</Act>
          </>
        )
      }
    >
      <Panel load={load}>
        {({ schemas }) => (
          <form class="settings" onSubmit={save}>
            {problem && !problem.fields.length && <Failed error={problem} />}
            {said && <Notice kind="good">{said}</Notice>}
            <Form schemas={schemas} schema={schemas.named("CredentialSpec")} value={now} change={change} problems={problem?.fields ?? []} without={isNew ? ["enabled"] : ["name", "enabled"]} />
            <p class="actions">
              <Act may={mayWrite.value} kind="primary submit" onClick={() => undefined}>
                {isNew ? t("new.create") : t("save")}
              </Act>
            </p>
          </form>
        )}
      </Panel>
    </Page>
  );
}
