// Before anything is drawn: light or dark as chosen, and whether this page came in clear text. A classic script, so that
// nothing jumps or flashes afterwards.
(() => {
  const root = document.documentElement;
  try {
    const theme = localStorage.getItem('jackfield.theme');
    if (theme === 'light' || theme === 'dark') root.dataset.theme = theme;
  } catch {
    // Without storage it follows the system.
  }
  const here = location.hostname;
  const loopback = here === 'localhost' || here.endsWith('.localhost') || here === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(here);
  if (location.protocol === 'http:' && !loopback) root.dataset.exposure = 'open';
})();
