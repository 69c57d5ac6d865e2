// Figures, times and sizes as people read them. What is not known reads `–`.

export const NONE = '–';

const known = (value) => value !== null && value !== undefined && value !== '' && !Number.isNaN(value);
const some = (make) => (value, ...more) => (known(value) ? make(value, ...more) : NONE);

/** Any text. */
export const text = some(String);

/** 1 234 567, with thin spaces. */
export const count = some((value) => Math.round(Number(value)).toLocaleString('en').replaceAll(',', '\u202f'));

/** Bytes in powers of ten, as links and disks are sold. */
export const bytes = some((value) => scaled(Number(value), ['B', 'kB', 'MB', 'GB', 'TB', 'PB']));

/** Bits per second. */
export const rate = some((value) => scaled(Number(value), ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s']));

/** Seconds as the two largest units: `2 d 3 h`, `1 h 04 m`, `5 m 09 s`, `7 s`. */
export const span = some((seconds) => {
  const s = Math.max(0, Math.floor(Number(seconds)));
  const two = (value) => String(value).padStart(2, '0');
  if (s >= 86400) return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
  if (s >= 3600) return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} m`;
  if (s >= 60) return `${Math.floor(s / 60)} m ${two(s % 60)} s`;
  return `${s} s`;
});

/** Milliseconds of a call: as precise as it matters. */
export const millis = some((value) => {
  const ms = Number(value);
  if (ms === 0) return '0 ms';
  if (ms >= 10000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms >= 100) return `${Math.round(ms)} ms`;
  if (ms >= 10) return `${ms.toFixed(1)} ms`;
  return `${ms.toFixed(2)} ms`;
});

/** Milliseconds between key frames, in seconds. */
export const distance = some((ms) => (Number(ms) > 0 ? `${(Number(ms) / 1000).toFixed(1)} s` : NONE));

/** The time of day, with milliseconds; the date too unless it is today. */
export const clock = some((value) => {
  const at = new Date(value);
  if (Number.isNaN(at.getTime())) return String(value);
  const pad = (number, width) => String(number).padStart(width, '0');
  const day = `${pad(at.getHours(), 2)}:${pad(at.getMinutes(), 2)}:${pad(at.getSeconds(), 2)}.${pad(at.getMilliseconds(), 3)}`;
  const date = `${at.getFullYear()}-${pad(at.getMonth() + 1, 2)}-${pad(at.getDate(), 2)}`;
  return at.toDateString() === new Date().toDateString() ? day : `${date} ${day}`;
});

/** `codec_string` is exact, `codec` is what people say. */
export const codec = some(
  (value) =>
    ({ h264: 'H.264', hevc: 'HEVC', h265: 'HEVC', av1: 'AV1', vp8: 'VP8', vp9: 'VP9', vvc: 'VVC', aac: 'AAC', opus: 'Opus', mp3: 'MP3', flac: 'FLAC', ac3: 'AC-3', eac3: 'E-AC-3' })[
      String(value).toLowerCase()
    ] ?? String(value),
);

/** Size and pace of a picture, or rate and channels of sound. */
export function shape(track) {
  if (track.width && track.height) {
    return `${track.width}×${track.height}${track.fps ? ` · ${Number(Number(track.fps).toFixed(2))} fps` : ''}`;
  }
  const channels = { 1: 'mono', 2: 'stereo', 6: '5.1', 8: '7.1' }[track.channels] ?? (track.channels ? `${track.channels} ch` : '');
  const khz = track.sample_rate ? `${Number((track.sample_rate / 1000).toFixed(1))} kHz` : '';
  return [khz, channels].filter(Boolean).join(' · ') || NONE;
}

function scaled(value, units) {
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[unit]}`;
}
