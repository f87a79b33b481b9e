// What the reader's browser does for the page: keep a text as a file, put a text on the clipboard.

function keep({ name, text }) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function copy({ text }) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = document.createElement("textarea"); // where the clipboard's own way is barred
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
}

function render({ model, el }) {
  el.style.display = "none";
  const acts = { "change:kept": () => keep(model.get("kept")), "change:copied": () => copy(model.get("copied")) };
  Object.entries(acts).forEach(([event, act]) => model.on(event, act));
  return () => Object.entries(acts).forEach(([event, act]) => model.off(event, act));
}

export default { render };
