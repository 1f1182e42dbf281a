//! An open file on its way to the other process: with a byte of its own, right after the frame that announces it.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use rustix::cmsg_space;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

/// Sends another handle of `file`.
///
/// # Errors
/// The system's; a closed connection.
pub fn send(socket: &UnixStream, file: &File) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let files = [file.as_fd()];
    if !control.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(io::Error::other("no room for the handle of a file"));
    }
    loop {
        match sendmsg(socket, &[IoSlice::new(&[0])], &mut control, quietly()) {
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A connection that was closed is an error, and no signal to the process.
fn quietly() -> SendFlags {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return SendFlags::NOSIGNAL;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    return SendFlags::empty();
}

/// Receives one.
///
/// # Errors
/// The system's; a closed connection; something else in its place.
pub fn receive(socket: &UnixStream) -> io::Result<File> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let received = loop {
        match recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::empty()) {
            Ok(received) => break received,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    };
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let files = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(files) => Some(files),
        #[allow(unreachable_patterns, reason = "some systems know other messages")]
        _ => None,
    });
    let file = files.flatten().next().ok_or_else(|| io::Error::other("a file was announced, none came"))?;
    // Programs that an environment starts have no use for it.
    fcntl_setfd(&file, FdFlags::CLOEXEC)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::{Read, Seek, Write};

    use super::*;

    #[test]
    fn a_file_comes_between_frames_and_is_the_same_one() {
        let (mut here, mut there) = UnixStream::pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        crate::frame::send(&mut here, 1, b"announced", b"").unwrap();
        send(&here, &file).unwrap();
        crate::frame::send(&mut here, 2, b"after", b"").unwrap();
        file.write_all(b"inside").unwrap();
        assert_eq!(crate::frame::receive(&mut there, &mut || true).unwrap().header, b"announced");
        let mut received = receive(&there).unwrap();
        assert_eq!(crate::frame::receive(&mut there, &mut || true).unwrap().header, b"after");
        let mut text = String::new();
        received.rewind().unwrap();
        received.read_to_string(&mut text).unwrap();
        assert_eq!(text, "inside");
        assert!(rustix::io::fcntl_getfd(&received).unwrap().contains(FdFlags::CLOEXEC));
        here.write_all(&[0]).unwrap();
        assert!(receive(&there).unwrap_err().to_string().contains("none came"));
        drop(here);
        assert_eq!(receive(&there).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
