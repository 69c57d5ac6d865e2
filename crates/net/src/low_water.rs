//! How much must lie in a socket before its reader is woken.

use std::io;
use std::os::fd::AsRawFd;
use tokio::net::TcpStream;

/// Has the kernel wake the socket's reader only for so many bytes (`SO_RCVLOWAT`, socket(7)), or when the window of what the
/// peer may send is nearly used up. The peer's end and errors wake at once; so does everything with 1, which is what a
/// socket begins with. What lies there can be read at any time by who does not wait.
///
/// # Errors
/// Those of setsockopt(2); nothing has changed then.
pub fn set_low_water(stream: &TcpStream, bytes: u16) -> io::Result<()> {
    let value = libc::c_int::from(bytes);
    let length = libc::socklen_t::try_from(size_of_val(&value)).map_err(io::Error::other)?;
    #[expect(unsafe_code, reason = "no crate that we use has this option")]
    // SAFETY: the kernel reads `length` bytes of `value`, which live through the call; the descriptor is open, for `stream` is.
    let result = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            std::ptr::from_ref(&value).cast(),
            length,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_reader_sleeps_until_there_is_enough_or_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let nothing = |socket: &TcpStream| {
            assert_eq!(socket.try_read(&mut [0; 10]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        };
        // The runtime takes a new socket for readable until it is seen not to be.
        nothing(&server);
        set_low_water(&server, 1000).unwrap();
        client.write_all(&[0; 999]).await.unwrap();
        while !crate::has_unread(&server) {
            tokio::task::yield_now().await;
        }
        assert_eq!(
            server.try_read(&mut [0; 10]).unwrap_err().kind(),
            io::ErrorKind::WouldBlock,
            "the runtime was told nothing"
        );
        client.write_all(&[0]).await.unwrap();
        server.readable().await.unwrap();
        assert_eq!(server.try_read(&mut [0; 2000]).unwrap(), 1000);
        client.write_all(&[0]).await.unwrap();
        drop(client);
        server.readable().await.unwrap();
    }
}
