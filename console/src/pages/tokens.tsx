// Who may speak to the API. A token's text is shown once.
import { useState } from "preact/hooks";
import { call, get, part, post, type Problem } from "../core/api";
import { useLoad } from "../core/load";
import { isAdmin, session } from "../core/session";
import { t, word } from "../texts";
import { Act, Copy, Dialog, Failed, Field, Notice, Page, Panel, Time } from "../ui/basic";
import { Icon } from "../ui/icons";
import { List } from "../ui/list";

interface Token {
  id: string;
  name: string;
  role: string;
  tenant: string;
  createdAt: number;
  expiresAt?: number;
  token?: string;
}

export function Tokens() {
  const load = useLoad((signal) => call<{ items: Token[] }>("GET", "/tokens", undefined, { query: { tenant: undefined }, signal }), []);
  const [making, make] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const remove = (token: Token) => confirm(t("delete.sure", { name: token.name })) && void call("DELETE", `/tokens/${part(token.id)}`).then(load.reload, setProblem);
  return (
    <Page title={t("nav.tokens")} lead={t("tokens.lead")} command="iotgwctl tokens" actions={<Act may={isAdmin.value} kind="primary" onClick={() => make(true)}><Icon name="plus" /> {t("token.new")}</Act>}>
      {problem && <Failed error={problem} />}
      <Panel load={load} flush>
        {(found) => (
          <List
            label={t("nav.tokens")} items={found.items} id={(each) => each.id}
            columns={[
              { key: "name", title: t("name"), width: "minmax(8rem,1.2fr)", cell: (each) => <>{each.name} {each.name === session.value?.name && <span class="dim">{t("token.yours")}</span>}</>, narrow: "main" },
              { key: "role", title: t("role"), width: "minmax(7rem,1fr)", cell: (each) => word(each.role), narrow: "below" },
              { key: "tenant", title: t("tenant"), width: "minmax(6rem,.8fr)", cell: (each) => (each.tenant === "*" ? t("tenant.all") : each.tenant), narrow: "below" },
              { key: "at", title: t("created"), width: "11rem", cell: (each) => <Time ms={each.createdAt} /> },
              { key: "until", title: t("token.until"), width: "11rem", cell: (each) => (each.expiresAt ? <Time ms={each.expiresAt} /> : <span class="dim">{t("token.forever")}</span>) },
              { key: "do", title: "", width: "6.5rem", end: true, narrow: "side", cell: (each) => <Act may={isAdmin.value} kind="danger" onClick={() => remove(each)}>{t("delete")}</Act> },
            ]}
          />
        )}
      </Panel>
      {making && <New close={() => (make(false), load.reload())} />}
    </Page>
  );
}

function New({ close }: { close: () => void }) {
  const [name, setName] = useState("");
  const [role, setRole] = useState("viewer");
  const [days, setDays] = useState("");
  const [made, setMade] = useState<Token>();
  const [problem, setProblem] = useState<Problem>();
  const save = (event: SubmitEvent) => {
    event.preventDefault();
    post<Token>("/tokens", { name, role, ...(days && { expiresAt: Date.now() + Number(days) * 86_400_000 }) }).then(setMade, setProblem);
  };
  return (
    <Dialog title={t("token.new")} close={close}>
      {made ? (
        <Notice kind="good">
          <strong>{t("token.once")}</strong>
          <p class="address">
            <code>{made.token}</code> <Copy text={made.token ?? ""} />
          </p>
        </Notice>
      ) : (
        <form class="settings" onSubmit={save}>
          {problem && <Failed error={problem} />}
          <Field label={t("name")}>
            <input required autoFocus value={name} onInput={(event) => setName(event.currentTarget.value)} spellcheck={false} />
          </Field>
          <Field label={t("role")} hint={t(`role.${role as "viewer"}`)}>
            <select value={role} onChange={(event) => setRole(event.currentTarget.value)}>
              {["viewer", "editor", "admin", "downlink", "network-server"].map((each) => (
                <option key={each} value={each}>
                  {word(each)}
                </option>
              ))}
            </select>
          </Field>
          <Field label={t("token.days")} hint={t("token.days.hint")}>
            <input type="number" min="1" value={days} onInput={(event) => setDays(event.currentTarget.value)} />
          </Field>
          <p class="actions">
            <Act may={isAdmin.value} kind="primary submit" onClick={() => undefined}>{t("new.create")}</Act>
          </p>
        </form>
      )}
    </Dialog>
  );
}
