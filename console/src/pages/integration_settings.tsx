// What an integration is told: where it sends, what it gets, how patient it is.
import { useState } from "preact/hooks";
import { part, type Problem, put } from "../core/api";
import { useLoad } from "../core/load";
import { mayWrite } from "../core/session";
import { describe } from "../core/description";
import { Schemas } from "../core/schema";
import type { Integration } from "../core/types";
import { t } from "../texts";
import { Act, Failed, Notice, Panel } from "../ui/basic";
import { Form } from "../ui/form";
import { NAMES } from "./gallery";

const OWN = ["id", "tenant", "revision", "createdAt", "updatedAt", "status"];

export function IntegrationSettings({ target, saved }: { target: Integration; saved: (now: Integration) => void }) {
  const load = useLoad(() => describe(), []);
  const [spec, change] = useState<Record<string, unknown>>(() => Object.fromEntries(Object.entries(target).filter(([key]) => !OWN.includes(key))));
  const [problem, setProblem] = useState<Problem>();
  const [said, say] = useState("");
  const save = (event: SubmitEvent) => {
    event.preventDefault();
    say("");
    put<Integration>(`/integrations/${part(target.name)}`, spec, { match: target.revision }).then((now) => {
      setProblem(undefined);
      say(t("saved.inforce"));
      saved(now);
    }, setProblem);
  };
  return (
    <Panel load={load}>
      {(description) => {
        const schemas = new Schemas(description.components.schemas);
        return (
          <form class="settings" onSubmit={save}>
            {problem && <Failed error={problem} />}
            {said && <Notice kind="good">{said}</Notice>}
            <h2>{NAMES[target.type] ?? target.type}</h2>
            <Form schemas={schemas} schema={schemas.settings("IntegrationSpec", target.type)} value={(spec.configuration ?? {}) as Record<string, unknown>} change={(configuration) => change({ ...spec, configuration })} path="configuration" problems={problem?.fields ?? []} />
            <h2>{t("new.more")}</h2>
            <Form schemas={schemas} schema={schemas.named("IntegrationSpec")} value={spec} change={change} problems={problem?.fields ?? []} without={["name", "type", "enabled", "configuration"]} />
            <p class="actions">
              <Act may={mayWrite.value} kind="primary submit" onClick={() => undefined}>{t("save")}</Act>
            </p>
          </form>
        );
      }}
    </Panel>
  );
}
