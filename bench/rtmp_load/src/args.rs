//! The command line: a command, a URL, and options with or without a value.
use std::collections::HashMap;

pub const USAGE: &str = "usage:
  rtmp_load play URL [--n N] [--ramp-ms MS] [--warm S] [--secs S] [--pid P[,P]] [--leave] [--flv FILE] [--check K] [--pub-url URL]
                     [--slow K --slow-kbps R] [--timeout S] [--json FILE] [--each] [--quickack] [--raw]
  rtmp_load publish URL --flv FILE [--n N] [--secs S]
  rtmp_load pubtime URL [--count K] [--gap-ms MS] [--parallel] [--timeout S]      ({i} in the URL becomes the round's number)
  rtmp_load flood URL [--rate R] [--secs S]
  rtmp_load hook [--listen A:P] [--delay-ms MS] [--status CODE] [--body TEXT] [--show]
  rtmp_load cpu --pid P[,P] --secs S
  rtmp_load floor --flv FILE --n N [--listen A:P] [--batch-ms B]
  rtmp_load askfloor --url A:P | --worker COMMAND | --run COMMAND [--count K] [--bytes N] [--gap-ms MS]
  rtmp_load relay --flv FILE
  rtmp_load relayed A:P --flv FILE [--n N] [--secs S] [--arrivals K --gap-ms MS]";

pub struct Args {
    pub cmd: String,
    pub url: Option<String>,
    pub opt: HashMap<String, String>,
}

impl Args {
    pub fn parse() -> Result<Args, String> {
        let mut it = std::env::args().skip(1);
        let cmd = it.next().ok_or(USAGE)?;
        let mut a = Args { cmd, url: None, opt: HashMap::new() };
        let rest: Vec<String> = it.collect();
        let mut i = 0;
        while i < rest.len() {
            if let Some(k) = rest[i].strip_prefix("--") {
                if matches!(k, "leave" | "raw" | "show" | "each" | "parallel" | "quickack") {
                    a.opt.insert(k.into(), "1".into());
                    i += 1;
                } else {
                    let v = rest.get(i + 1).ok_or(format!("--{k} needs a value"))?;
                    a.opt.insert(k.into(), v.clone());
                    i += 2;
                }
            } else {
                a.url = Some(rest[i].clone());
                i += 1;
            }
        }
        Ok(a)
    }
    pub fn num(&self, k: &str, d: f64) -> Result<f64, String> {
        self.opt.get(k).map_or(Ok(d), |v| v.parse().map_err(|_| format!("--{k} {v}: not a number")))
    }
    pub fn has(&self, k: &str) -> bool {
        self.opt.contains_key(k)
    }
    pub fn pids(&self) -> Result<Vec<u32>, String> {
        match self.opt.get("pid") {
            None => Ok(vec![]),
            Some(s) => s
                .split(',')
                .filter(|x| !x.is_empty())
                .map(|x| x.trim().parse().map_err(|_| format!("--pid {x}")))
                .collect(),
        }
    }
    pub fn url(&self) -> Result<&str, String> {
        self.url.as_deref().ok_or_else(|| USAGE.to_string())
    }
}
