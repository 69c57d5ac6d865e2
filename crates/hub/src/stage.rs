//! Where packet plugins sit: between a publisher and the fan-out.

use jackfield_media::{Frame, StreamKey};

/// Looks at each frame of a stream before anybody else does, and decides what goes on.
pub trait Stage: Send {
    /// Pushes what is to go on to `out`: the frame, an edited one, several, or nothing. Called in the
    /// stream's task, so it must not block.
    fn frame(&mut self, frame: Frame, out: &mut Vec<Frame>);
}

/// Makes the stages of streams.
pub trait Stages: Send + Sync {
    /// The stages of a stream that comes to exist, in the order in which they see a frame.
    fn of(&self, key: &StreamKey) -> Vec<Box<dyn Stage>>;
}

/// The stages of one stream.
#[derive(Default)]
pub(crate) struct Chain {
    stages: Vec<Box<dyn Stage>>,
    input: Vec<Frame>,
}

impl Chain {
    pub(crate) fn new(stages: Vec<Box<dyn Stage>>) -> Self {
        Self { stages, input: Vec::new() }
    }

    /// Runs the frames through all stages, in place.
    pub(crate) fn run(&mut self, frames: &mut Vec<Frame>) {
        for stage in &mut self.stages {
            std::mem::swap(frames, &mut self.input);
            frames.clear();
            for frame in self.input.drain(..) {
                stage.frame(frame, frames);
            }
        }
    }
}
