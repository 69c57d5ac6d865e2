//! User control events and the bandwidth limit (RTMP 1.0 §5.4.5, §7.1.7).

/// An event of User Control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserControl {
    /// The message stream can be used.
    StreamBegin(u32),
    /// The message stream has no more to play.
    StreamEof(u32),
    /// The message stream has nothing new for a while.
    StreamDry(u32),
    /// How much the client buffers.
    SetBufferLength {
        /// The message stream.
        message_stream: u32,
        /// Milliseconds.
        ms: u32,
    },
    /// The message stream is a recording.
    StreamIsRecorded(u32),
    /// Asks for a [`PingResponse`](Self::PingResponse) with the same number.
    PingRequest(u32),
    /// Answers a [`PingRequest`](Self::PingRequest).
    PingResponse(u32),
    /// An event that the specification does not list.
    Other(u16),
}

impl UserControl {
    /// Reads the event; `None` if it is too short.
    #[must_use]
    pub fn decode(body: &[u8]) -> Option<Self> {
        let (event, rest) = body.split_first_chunk()?;
        let first = || rest.first_chunk().map(|four| u32::from_be_bytes(*four));
        Some(match u16::from_be_bytes(*event) {
            0 => Self::StreamBegin(first()?),
            1 => Self::StreamEof(first()?),
            2 => Self::StreamDry(first()?),
            3 => Self::SetBufferLength {
                message_stream: first()?,
                ms: u32::from_be_bytes(*rest.get(4..)?.first_chunk()?),
            },
            4 => Self::StreamIsRecorded(first()?),
            6 => Self::PingRequest(first()?),
            7 => Self::PingResponse(first()?),
            other => Self::Other(other),
        })
    }

    /// The event as a message body.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let (event, numbers): (u16, &[u32]) = match &self {
            Self::StreamBegin(id) => (0, &[*id]),
            Self::StreamEof(id) => (1, &[*id]),
            Self::StreamDry(id) => (2, &[*id]),
            Self::SetBufferLength { message_stream, ms } => (3, &[*message_stream, *ms]),
            Self::StreamIsRecorded(id) => (4, &[*id]),
            Self::PingRequest(number) => (6, &[*number]),
            Self::PingResponse(number) => (7, &[*number]),
            Self::Other(event) => (*event, &[]),
        };
        let mut body = event.to_be_bytes().to_vec();
        numbers.iter().for_each(|number| body.extend_from_slice(&number.to_be_bytes()));
        body
    }
}

/// How binding Set Peer Bandwidth is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BandwidthLimit {
    /// Exactly this window.
    Hard,
    /// This window or the one in effect, whichever is smaller.
    Soft,
    /// Hard if the last one was hard, else to be ignored.
    Dynamic,
}

impl BandwidthLimit {
    /// By its number; what is missing or unknown is dynamic.
    #[must_use]
    pub fn from_wire(byte: Option<u8>) -> Self {
        match byte {
            Some(0) => Self::Hard,
            Some(1) => Self::Soft,
            _ => Self::Dynamic,
        }
    }

    /// Its number.
    #[must_use]
    pub fn to_wire(self) -> u8 {
        match self {
            Self::Hard => 0,
            Self::Soft => 1,
            Self::Dynamic => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_the_numbers_of_the_specification_and_what_is_unknown_is_dynamic() {
        for (number, limit) in
            [(0, BandwidthLimit::Hard), (1, BandwidthLimit::Soft), (2, BandwidthLimit::Dynamic)]
        {
            assert_eq!(BandwidthLimit::from_wire(Some(number)), limit);
            assert_eq!(limit.to_wire(), number);
        }
        for unknown in [None, Some(3), Some(255)] {
            assert_eq!(BandwidthLimit::from_wire(unknown), BandwidthLimit::Dynamic);
        }
    }
}
