// The way in: a token of the API is changed for a session.
import { useState } from "preact/hooks";
import { login } from "./core/session";
import { Field, Notice } from "./ui/basic";
import { choose, language, t } from "./texts";

export function Login({ ended }: { ended: boolean }) {
  const [token, setToken] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    setBusy(true);
    login(token.trim())
      .catch((error: Error) => setProblem(error instanceof TypeError ? t("error.unreachable") : error.message))
      .finally(() => setBusy(false));
  };
  return (
    <main class="login">
      <form onSubmit={submit}>
        <div class="brand">
          <svg viewBox="0 0 32 32" aria-hidden="true">
            <rect width="32" height="32" rx="7" />
            <path d="M6 10h6q4 0 4 6t4 6h6M6 22h6q4 0 4-6t4-6h6" />
          </svg>
          iotgw
        </div>
        <h1>{t("login.title")}</h1>
        {ended && !problem && <Notice kind="warn">{t("login.ended")}</Notice>}
        {problem && <Notice kind="bad">{problem}</Notice>}
        <Field label={t("login.token")} hint={<>{t("login.hint")} <code>var/iotgw/admin-token</code></>}>
          <input type="password" autoComplete="current-password" value={token} onInput={(event) => setToken(event.currentTarget.value)} required autoFocus spellcheck={false} />
        </Field>
        <button type="submit" class="button primary" disabled={busy || !token}>
          {t("login.go")}
        </button>
        <button type="button" class="link" lang={language === "en" ? "de" : "en"} onClick={() => choose(language === "en" ? "de" : "en")}>
          {language === "en" ? "Deutsch" : "English"}
        </button>
      </form>
    </main>
  );
}
