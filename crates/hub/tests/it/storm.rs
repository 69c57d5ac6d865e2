//! Random lives: whatever happens in whatever order, starts and stops pair up.

use crate::kit::{Kit, Viewer, key, keyframe, picture, settle, sound};
use jackfield_events::EndReason;
use jackfield_hub::{HubConfig, Publisher, Subscriber, Takeover};
use jackfield_runtime::clock;
use std::time::Duration;

/// A small generator, so that a failing seed can be run again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn pick<T>(&mut self, from: &mut Vec<T>) -> Option<T> {
        if from.is_empty() {
            return None;
        }
        let at = self.roll(from.len() as u64);
        Some(from.swap_remove(usize::try_from(at).unwrap()))
    }
}

#[derive(Default)]
struct Actors {
    publishers: Vec<Publisher>,
    subscribers: Vec<Subscriber>,
    viewers: Vec<Viewer>,
}

async fn act(kit: &Kit, dice: &mut Dice, actors: &mut Actors) {
    match dice.roll(14) {
        0..=2 => {
            let takeover = match dice.roll(3) {
                0 => Takeover::Stale,
                1 => Takeover::Refuse,
                _ => Takeover::Replace,
            };
            actors.publishers.extend(kit.try_publish(&key(), takeover).await);
        }
        3 => drop(dice.pick(&mut actors.publishers)),
        4 => {
            if let Some(publisher) = dice.pick(&mut actors.publishers) {
                publisher.finish(EndReason::Unpublish).await;
            }
        }
        5..=6 => {
            let viewer = Viewer::default();
            if dice.roll(4) == 0 {
                viewer.set_backlog(9 << 20, Duration::from_secs(9));
            }
            actors.subscribers.extend(kit.try_play(&key(), &viewer).await);
            actors.viewers.push(viewer);
        }
        7 => drop(dice.pick(&mut actors.subscribers)),
        8 => {
            if let Some(subscriber) = dice.pick(&mut actors.subscribers) {
                subscriber.finish(EndReason::Timeout).await;
            }
        }
        9 => drop(kit.hub.kick_publisher(&key(), EndReason::Kicked).await.is_ok()),
        10 => clock::sleep(Duration::from_secs(dice.roll(20))).await,
        11 => settle().await,
        _ => {
            let ms = i64::try_from(dice.roll(100_000)).unwrap();
            for publisher in &actors.publishers {
                // The superseded ones try as well.
                let _fenced = publisher.send(vec![keyframe(ms), sound(ms + 5), picture(ms + 40)]).await;
            }
        }
    }
}

async fn storm(seed: u64) {
    let mut dice = Dice(seed);
    let resume = Duration::from_secs(dice.roll(2) * 5);
    let kit = Kit::new(HubConfig { resume, ..HubConfig::default() });
    let mut actors = Actors::default();
    for _ in 0..200 {
        act(&kit, &mut dice, &mut actors).await;
    }
    kit.hub.stop(EndReason::ServerShutdown).await;
    settle().await;
    kit.check_pairs();
    assert_eq!(kit.tasks.count(), 0, "seed {seed}");
    for (at, viewer) in actors.viewers.iter().enumerate() {
        assert!(viewer.ended().len() <= 1, "seed {seed}: viewer {at} was ended twice");
    }
    for subscriber in actors.subscribers {
        // Also those whose stream is long gone are told.
        subscriber.ended().await;
    }
}

#[tokio::test(start_paused = true)]
async fn storms_of_takeovers_leave_every_start_with_one_stop() {
    for seed in 1..=300 {
        storm(seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishers_that_fight_for_a_key_on_two_threads_are_told_in_order() {
    let kit = std::sync::Arc::new(Kit::new(HubConfig::default()));
    let fighters: Vec<_> = (0..8)
        .map(|_| {
            let fighter = std::sync::Arc::clone(&kit);
            kit.tasks.spawn("fighter", async move {
                for n in 0..50 {
                    let publisher = fighter.try_publish(&key(), Takeover::Replace).await.unwrap();
                    if n % 2 == 0 {
                        // It may have been superseded already.
                        let _fenced = publisher.send(vec![keyframe(n)]).await;
                    }
                    let viewer = Viewer::default();
                    drop(fighter.try_play(&key(), &viewer).await);
                }
            })
        })
        .collect();
    for fighter in fighters {
        fighter.join().await;
    }
    kit.hub.stop(EndReason::ServerShutdown).await;
    kit.check_pairs();
}
