// What the theme lacks for screen readers and keyboards: the level of captions, a name for the
// navigation, and focus on code that scrolls.
document.addEventListener("DOMContentLoaded", () => {
  for (const caption of document.querySelectorAll(".caption[role=heading]")) {
    caption.setAttribute("aria-level", "2");
  }
  for (const sidebar of document.querySelectorAll(".sidebar-drawer")) {
    sidebar.setAttribute("aria-label", "Pages");
  }
  for (const code of document.querySelectorAll(".highlight pre")) {
    code.tabIndex = 0;
  }
});
