// The page before all others: asks for a token, and says where there is one.
import { h, fill } from "./dom.js";
import { session, ApiError } from "./api.js";
import { copyable } from "./ask.js";

/** Where the token is, by how the controller was started. */
const PLACES = [
  ["Installed from a package", "sudo cat /var/lib/ctl-bin/authtoken.secret"],
  ["Started by hand", "cat ~/.local/share/ctl-bin/authtoken.secret"],
  ["In a container", "docker compose cp controller:/var/lib/ctl-bin/authtoken.secret - | tar -xO"],
];

/** Shows the page in `root`; `enter(failed)` tries the token. `message` says why somebody is here again. */
export function logIn(root, enter, message = "") {
  document.title = "Log in – network controller";
  const input = h("input", { type: "password", autocomplete: "current-password", required: true, id: "token", "aria-describedby": "token-hint token-problem" });
  const problem = h("p", { class: "problem", role: "alert", id: "token-problem" }, message);
  const button = h("button", { type: "submit", class: "primary" }, "Log in");
  const submit = async (event) => {
    event.preventDefault();
    session.open(input.value.trim());
    button.disabled = true;
    await enter((error) => {
      session.close();
      button.disabled = false;
      problem.textContent = error instanceof ApiError && error.status === 401 ? "That is not a token of this controller." : error.message;
      input.setAttribute("aria-invalid", "true");
      input.select();
    });
  };
  fill(root, h("main", { id: "main", class: "log-in" },
    h("img", { src: "icon.svg", alt: "", width: "52", height: "52" }),
    h("h1", null, "Network controller"),
    h("p", { class: "sub" }, "Networks, their members, and what they may do."),
    h("form", { onsubmit: submit },
      h("label", { for: "token" }, "Token"), input, problem,
      h("small", { id: "token-hint" }, "The content of ", h("code", null, "authtoken.secret"), " in the home folder of the controller, or a token that was made here. It stays in this tab."),
      button),
    h("details", null, h("summary", null, "Where is the token?"),
      PLACES.map(([how, command]) => [h("p", { class: "sub" }, how), copyable(command, how)]),
      h("p", { class: "sub" }, "The first lines that the controller writes at its start name its home folder."))));
  input.focus();
}
