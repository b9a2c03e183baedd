// Backups of the controller: made now, fetched, removed.
import { h, fill, emptyState } from "./dom.js";
import { backups } from "./api.js";
import { confirm, complain, save, toast } from "./ask.js";
import { bytes, moment } from "./format.js";
import { icon } from "./icons.js";
import { listing } from "./listing.js";

export async function backupList({ signal, reload }) {
  const list = await backups.list(signal);
  const make = h("button", { type: "button", class: "primary", onclick: async () => {
    make.disabled = true;
    fill(make, "Making it…");
    try {
      const made = await backups.make();
      toast(`${made.name} was made, and read back.`);
    } catch (error) {
      complain(error);
    }
    reload();
  } }, icon("add"), "Make one now");
  const head = h("div", { class: "head" }, h("div", null, h("h1", { tabindex: "-1" }, "Backups"),
    h("p", { class: "sub" }, "One file has everything: identity, networks, members. Keep one on another machine.")), list.length > 0 ? make : null);
  if (list.length === 0) {
    return { title: "Backups", content: [head, h("div", { class: "card" }, emptyState(icon("backups"), "There is no backup yet",
      ["Whoever loses the identity loses the networks. With ", h("code", null, "--backup-dir"), " the controller makes backups by itself."], make))] };
  }
  const table = listing("List of backups", ["Made", "File", "Size", "Encrypted", ""]);
  table.show(list.map((backup) => row(backup, reload)));
  const open = list.some((backup) => !backup.encrypted);
  return { title: "Backups", content: [head,
    open ? h("p", { class: "note" }, "A backup that is not encrypted has the identity of this controller: whoever has the file can be it.") : null, table.node] };
}

function row(backup, reload) {
  return [
    h("strong", null, moment(backup.created)),
    h("code", { class: "wide" }, backup.name),
    bytes(backup.sizeBytes),
    backup.encrypted ? h("span", { class: "badge good" }, "yes") : h("span", { class: "badge warn" }, "no"),
    h("span", { class: "end" },
      h("button", { type: "button", class: "small", "aria-label": `Download ${backup.name}`, onclick: (event) => download(backup, event.currentTarget) }, "Download"),
      h("button", { type: "button", class: "small danger", "aria-label": `Delete ${backup.name}`, onclick: () => remove(backup, reload) }, "Delete")),
  ];
}

async function download(backup, button) {
  button.disabled = true;
  try {
    save(await backups.fetch(backup.name), backup.name);
  } catch (error) {
    complain(error);
  } finally {
    button.disabled = false;
  }
}

async function remove(backup, reload) {
  const sure = await confirm({ title: "Delete this backup?", text: `${backup.name} is removed from the disk. This cannot be undone.`, action: "Delete" });
  if (!sure) return;
  backups.remove(backup.name).then(() => { toast("The backup was deleted."); reload(); }).catch(complain);
}
