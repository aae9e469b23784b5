// Shell commands that do the same as the page. Tokens are shown as dots and copied in full.

const DOTS = "••••••••";

export class Commands {
  constructor(session) {
    this.session = session;
    this.words = {};
    for (const box of document.querySelectorAll("[data-command]")) {
      box.querySelector("button").addEventListener("click", (event) => this.#copy(box, event.currentTarget));
    }
  }

  // {phone, incoming, reply}: the number outside and the texts in the examples, as far as they changed.
  show(words) {
    Object.assign(this.words, words);
    for (const [name, lines] of Object.entries(this.#all(DOTS, DOTS))) box(name).textContent = lines;
  }

  #all(webhookToken, token) {
    const { number, extension } = this.session;
    const { phone, incoming, reply } = this.words;
    const json = `-H 'Content-Type: application/json'`;
    const event = quoted(JSON.stringify({ id: "ID", from: phone, to: number, text: incoming }));
    const once = event.replace("ID", () => "'$(date +%s)'"); // a repeated id changes nothing
    return {
      simulate: `.venv/bin/flask simulate sandbox \\\n  --from ${phone} --to ${number} \\\n  --text ${quoted(incoming)}`,
      webhook: `curl '${location.origin}/webhook/sandbox/sms?token=${webhookToken}' \\\n  ${json} \\\n  -d ${once}`,
      device: `.venv/bin/flask devices add ${extension} --name "My app"`,
      reply: `curl ${location.origin}/api/v1/messages \\\n  -H 'Authorization: Bearer ${token}' \\\n  ${json} \\\n  -d ${quoted(JSON.stringify({ to: phone, text: reply }))}`,
    };
  }

  async #copy(article, button) {
    const name = article.dataset.command;
    const whole = this.#all(this.session.webhook_token, this.session.token)[name];
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(whole);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    } else {
      box(name).textContent = whole; // no clipboard on plain http: show it, ready to be copied
      getSelection().selectAllChildren(box(name));
    }
  }
}

function box(name) {
  return document.querySelector(`[data-command="${name}"] code`);
}

function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
