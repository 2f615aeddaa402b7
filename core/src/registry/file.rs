//! Small files of a user: keys, passwords, configurations. A pipe is read too, as a shell makes one of `<(...)`.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use zeroize::Zeroizing;

use crate::context::Context;
use crate::error::{Error, Kind, Result};

/// How long the other side of a pipe may take, as long as a command.
const PIPE_TIME: Duration = Duration::from_secs(30);

/// What a file holds, at most `limit` bytes; none where there is no such file. `what` names it in errors.
///
/// Nothing is waited for that a cancel does not end: a pipe has half a minute, and a device is not read.
///
/// # Errors
/// [`Kind::InvalidInput`] for one that cannot be read or is too long, [`Kind::Canceled`].
pub(super) async fn read(
    path: &Path,
    what: &'static str,
    limit: u64,
    context: &Context,
) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let wrong = |message: String| Error::new(Kind::InvalidInput, message).with("path", path.display());
    let reading = async {
        match bytes(path, limit + 1).await {
            Ok(bytes) if bytes.len() as u64 > limit => Err(wrong(format!("{what} is longer than {limit} bytes"))),
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(wrong(format!("{what} cannot be read"))
                .with_hint("check the path, and that this user may read what is there")
                .because(error)),
        }
    };
    context.run(reading).await
}

/// The error of a file that has to be there, and is not.
pub(super) fn missing(path: &Path, what: &'static str) -> Error {
    Error::new(Kind::InvalidInput, format!("{what} does not exist"))
        .with("path", path.display())
        .with_hint("check the path")
}

async fn bytes(path: &Path, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    let metadata = tokio::fs::metadata(path).await?;
    if metadata.is_file() {
        tokio::fs::File::open(path).await?.take(limit).read_to_end(&mut bytes).await?;
        return Ok(bytes);
    }
    #[cfg(unix)]
    if std::os::unix::fs::FileTypeExt::is_fifo(&metadata.file_type()) {
        // Opened so that it waits for nobody, and so takes no thread that nothing could end.
        let mut pipe = tokio::net::unix::pipe::OpenOptions::new().open_receiver(path)?.take(limit);
        let read = tokio::time::timeout(PIPE_TIME, pipe.read_to_end(&mut bytes));
        read.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        return Ok(bytes);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "neither a file nor a pipe"))
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;
    use std::process::Command;

    use super::*;

    async fn shown(path: &Path, context: &Context) -> Result<Option<String>> {
        let bytes = read(path, "the file", 8, context).await?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    #[tokio::test]
    async fn files_and_pipes_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let context = Context::new();
        assert_eq!(shown(&file, &context).await.unwrap(), None);
        std::fs::write(&file, "12345678").unwrap();
        assert_eq!(shown(&file, &context).await.unwrap().as_deref(), Some("12345678"));
        std::fs::write(&file, "123456789").unwrap();
        assert!(shown(&file, &context).await.unwrap_err().to_string().contains("longer than 8"));
        // As a shell hands it over; not all is there yet when the reading begins.
        let (ours, mut theirs) = std::io::pipe().unwrap();
        let path = format!("/dev/fd/{}", ours.as_raw_fd());
        theirs.write_all(b"1234").unwrap();
        let writing = std::thread::spawn(move || theirs.write_all(b"5678").unwrap());
        assert_eq!(shown(Path::new(&path), &context).await.unwrap().as_deref(), Some("12345678"));
        writing.join().unwrap();
    }

    #[tokio::test]
    async fn a_pipe_whose_writer_says_nothing_is_left_when_the_call_ends() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let _silent = tokio::net::unix::pipe::OpenOptions::new().read_write(true).open_sender(&pipe).unwrap();
        let context = Context::new().deadline(Duration::from_millis(100));
        assert_eq!(shown(&pipe, &context).await.unwrap_err().kind(), Kind::Canceled);
    }

    #[tokio::test]
    async fn folders_and_devices_are_told() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path(), Path::new("/dev/zero")] {
            let error = shown(path, &Context::new()).await.unwrap_err();
            assert!(error.kind() == Kind::InvalidInput && error.hint().is_some(), "{error:?}");
        }
    }
}
