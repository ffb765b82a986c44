// A converter's versions with their differences, its vectors, and what comes of saving it.
import { useEffect, useState } from "preact/hooks";
import { get, part, patch, post, type Problem } from "../core/api";
import { lines } from "../core/diff";
import { useLoad } from "../core/load";
import { go, place, setQuery } from "../core/router";
import { mayWrite } from "../core/session";
import type { Converter, Group, Job, List as Items, Version } from "../core/types";
import { t } from "../texts";
import { Act, Box, Empty, Failed, Panel, State, Time } from "../ui/basic";
import { Diff, Json } from "../ui/data";
import { group as groupOf } from "./failure";

export function Versions({ name, refresh }: { name: string; refresh: (now: Converter) => void }) {
  const { query } = place.value;
  const load = useLoad((signal) => get<Items<Version>>(`/converters/${part(name)}/versions`, {}, signal), [name]);
  const [problem, setProblem] = useState<Problem>();
  const versions = [...(load.data?.items ?? [])].reverse();
  const chosen = versions.find((each) => String(each.version) === query.version) ?? versions[0];
  const before = versions.find((each) => each.version === Number(query.against ?? (chosen?.version ?? 0) - 1));
  const activate = (version: number) =>
    post(`/converters/${part(name)}/versions/${version}/activate`)
      .then(() => get<Converter>(`/converters/${part(name)}`))
      .then((now) => (refresh(now), load.reload()), setProblem);
  return (
    <Panel load={load}>
      {() => (
        <div class="versions">
          {problem && <Failed error={problem} />}
          <ul>
            {versions.map((each) => (
              <li key={each.version} class={each === chosen ? "on" : ""}>
                <button type="button" class="link" aria-pressed={each === chosen} onClick={() => setQuery({ version: String(each.version), against: undefined })}>
                  v{each.version}
                </button>
                <Time ms={each.createdAt} />
                {each.active ? <State value="active" /> : <Act may={mayWrite.value} onClick={() => void activate(each.version)}>{t("version.activate")}</Act>}
              </li>
            ))}
          </ul>
          {chosen && (
            <div>
              <label class="inline">
                {t("version.against", { version: `v${chosen.version}` })}{" "}
                <select value={before?.version ?? ""} onChange={(event) => setQuery({ against: event.currentTarget.value })}>
                  <option value="">{t("version.nothing")}</option>
                  {versions.filter((each) => each !== chosen).map((each) => (
                    <option key={each.version} value={each.version}>
                      v{each.version}
                    </option>
                  ))}
                </select>
              </label>
              {before ? <Diff lines={lines(before.script, chosen.script)} /> : <Json data={chosen.script} label={`v${chosen.version}`} />}
            </div>
          )}
        </div>
      )}
    </Panel>
  );
}

interface Suite {
  passed: number;
  failed: number;
  cases: { name: string; passed: boolean; error?: unknown; [more: string]: unknown }[];
}

export function Vectors({ saved, refresh }: { saved: Converter; refresh: (now: Converter) => void }) {
  const suite = useLoad((signal) => (mayWrite.value && saved.tests.length ? post<Suite>(`/converters/${part(saved.name)}/test-suite`, undefined, { signal }) : Promise.resolve(null)), [saved.revision]);
  const [problem, setProblem] = useState<Problem>();
  const remove = (name: unknown) => patch<Converter>(`/converters/${part(saved.name)}`, { tests: saved.tests.filter((each) => each.name !== name) }, { match: saved.revision, type: "application/merge-patch+json" }).then(refresh, setProblem);
  if (!saved.tests.length) return <Empty icon="check" title={t("vectors.none")}>{t("vectors.none.hint")}</Empty>;
  return (
    <Box title={suite.data ? t("vectors.passed", { passed: suite.data.passed, all: suite.data.passed + suite.data.failed }) : t("vectors")}>
      {(problem ?? suite.error) && <Failed error={(problem ?? suite.error)!} />}
      {saved.tests.map((test, i) => {
        const ran = suite.data?.cases[i];
        return (
          <details key={i}>
            <summary>
              {ran && <State value={ran.passed ? "good" : "failed"} text={ran.passed ? t("vector.passed") : t("vector.failed")} />} {String(test.name ?? i + 1)} <code class="dim">{String(test.hex ?? test.text ?? test.payload ?? "").slice(0, 40)}</code>
            </summary>
            {ran && !ran.passed && <Json data={ran} label={t("vector.failed")} />}
            <Json data={test.output} label={t("output")} />
            <Act may={mayWrite.value} onClick={() => void remove(test.name)}>
              {t("delete")}
            </Act>
          </details>
        );
      })}
    </Box>
  );
}

// All of the group that led here, converted again by a job; how many they are is asked first.
export function Reprocess({ id }: { id: string }) {
  const [found, setFound] = useState<Group | null>();
  const [problem, setProblem] = useState<Problem>();
  useEffect(() => void groupOf(id).then(setFound, setProblem), [id]);
  if (problem) return <Failed error={problem} />;
  if (found === undefined) return null;
  if (found === null) return <span>{t("failure.gone")}</span>;
  return (
    <button type="button" class="button primary" onClick={() => void post<Job>("/jobs", { reprocess: { state: "failed", group: id } }).then((job) => go(["jobs", job.id]), setProblem)}>
      {t("failure.reprocess", { n: found.count })}
    </button>
  );
}

// Somebody else has saved meanwhile: both are shown before anything is written.
export function Conflict({ mine, theirs, force, take }: { mine: string; theirs: Converter; force: () => void; take: () => void }) {
  return (
    <Box title={t("conflict.title")}>
      <p>{t("conflict.hint")}</p>
      <Diff lines={lines(theirs.script, mine)} />
      <p class="actions">
        <button type="button" class="button" onClick={take}>
          {t("conflict.take")}
        </button>
        <button type="button" class="button danger" onClick={force}>
          {t("conflict.force")}
        </button>
      </p>
    </Box>
  );
}
