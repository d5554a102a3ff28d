// Runs before the first paint, so that a light desk does not flash dark. A file of its own: no inline script.
(function () {
  try {
    var kept = JSON.parse(localStorage.getItem("perpilot.prefs") || "{}");
    var root = document.documentElement;
    root.dataset.theme = kept.theme === "light" ? "light" : "dark";
    root.dataset.rise = kept.rise === "red" ? "red" : "green";
    var korean = /^ko/i.test(navigator.language);
    root.lang = kept.language === "ko" || kept.language === "en" ? kept.language : korean ? "ko" : "en";
  } catch {
    document.documentElement.dataset.theme = "dark";
  }
})();
