// The page works without this: it only keeps the document's language, title and pictures' descriptions in step.
for (const radio of document.querySelectorAll('input[name="language"]')) {
  radio.addEventListener("change", () => {
    const code = radio.value;
    document.documentElement.lang = code;
    document.title = document.body.getAttribute("data-title-" + code);
    for (const image of document.querySelectorAll("img[data-alt-" + code + "]")) {
      image.alt = image.getAttribute("data-alt-" + code);
    }
  });
}
const asked = new URLSearchParams(location.search).get("lang");
const wanted = asked && document.getElementById("lang-" + CSS.escape(asked));
if (wanted) {
  wanted.checked = true;
  wanted.dispatchEvent(new Event("change"));
}
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const details of opened) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of opened) details.open = false;
});
