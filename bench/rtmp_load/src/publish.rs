//! `publish` and `pubtime`: a paced publisher, and how long a server takes to accept one.
use crate::args::Args;
use crate::event_loop::Loop;
use crate::flv;
use crate::pacer::Pacer;
use crate::reference::Reference;
use crate::report::{self, Out};
use crate::session::{Kind, Reading, State, Url};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Publishes a clip in real time, under `--n` keys at once ({i} in the URL is the number of each).
pub fn publish(a: &Args) -> Result<(), String> {
    let n = a.num("n", 1.0)? as usize;
    let clip = Rc::new(flv::load(a.opt.get("flv").ok_or("--flv FILE")?)?);
    let mut lp = Loop::new()?;
    let mut pacers: Vec<Pacer> = (0..n).map(|_| Pacer::new(Rc::clone(&clip))).collect();
    for i in 0..n {
        lp.add(Kind::Publish, &Url::parse(&a.url()?.replace("{i}", &i.to_string()))?, 0, Reading::Parse)?;
    }
    let end = Instant::now() + Duration::from_secs_f64(a.num("secs", 1e9)?.min(1e9));
    let mut reference = Reference::new(&clip);
    let mut told = false;
    while Instant::now() < end {
        let mut wait = Duration::from_millis(20);
        for (i, pacer) in pacers.iter_mut().enumerate() {
            pacer.pump(&mut lp.s[i], &mut reference);
            lp.rearm(i);
            let s = &lp.s[i];
            if let Some(e) = &s.error {
                return Err(format!("publisher {i}: {e}"));
            }
            if s.pending_out() > 64 << 20 {
                return Err("the server does not read".into());
            }
            if let Some(due) = pacer.due() {
                wait = wait.min(due.saturating_duration_since(Instant::now()) + Duration::from_micros(900));
            }
        }
        if !told && lp.s.iter().all(|s| s.state == State::Live) {
            told = true;
            println!("{{\"publishing\":{n}}}");
        }
        lp.turn(wait, None)?;
    }
    Ok(())
}

/// Publishes an empty stream again and again; tells how long the server takes to say Publish.Start.
pub fn pubtime(a: &Args) -> Result<(), String> {
    let count = a.num("count", 50.0)? as usize;
    let gap = Duration::from_secs_f64(a.num("gap-ms", 50.0)? / 1e3);
    let (mut total, mut answer, mut conn, mut ended, mut bad) =
        (vec![], vec![], vec![], vec![], BTreeMap::<String, usize>::new());
    let limit = Duration::from_secs_f64(a.num("timeout", 20.0)?);
    // one after the other, or all of them at once in one loop
    let rounds: Vec<Vec<usize>> =
        if a.has("parallel") { vec![(0..count).collect()] } else { (0..count).map(|i| vec![i]).collect() };
    for round in rounds {
        let mut lp = Loop::new()?;
        for i in &round {
            let url = Url::parse(&a.url()?.replace("{i}", &i.to_string()))?;
            lp.add(Kind::Publish, &url, 0, Reading::Parse)?;
        }
        let t = Instant::now();
        while lp.s.iter().any(|s| s.state != State::Live && s.state != State::Done) && t.elapsed() < limit {
            lp.turn(Duration::from_millis(1), None)?;
        }
        for i in 0..lp.s.len() {
            let s = &lp.s[i];
            if s.state == State::Live {
                let (st, ask) = (s.marks.started.unwrap_or_default(), s.marks.asked_at.unwrap_or_default());
                total.push(st.as_secs_f64() * 1e3);
                answer.push(st.saturating_sub(ask).as_secs_f64() * 1e3);
                conn.push(s.marks.connected.unwrap_or_default().as_secs_f64() * 1e3);
            } else {
                let e = s.error.clone().unwrap_or(format!("timeout in state {:?}", s.state));
                *bad.entry(e).or_default() += 1;
                if s.state == State::Done {
                    ended.push(t.elapsed().as_secs_f64() * 1e3);
                }
            }
            lp.drop_session(i);
        }
        std::thread::sleep(gap);
    }
    let mut o = Out("{".into());
    o.dist("connected_ms", conn);
    o.dist("publish_answer_ms", answer);
    o.dist("total_ms", total);
    o.dist("refused_after_ms", ended);
    o.raw("errors", report::counts(&bad));
    o.0.push('}');
    println!("{}", o.0);
    Ok(())
}
