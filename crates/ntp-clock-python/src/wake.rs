//! Two ends of which one is readable once something was written at the other.

#[cfg(unix)]
pub(crate) use unix::Wake;
#[cfg(windows)]
pub(crate) use windows::Wake;

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io::{self, Read, Write};
    use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixStream;

    /// A pair of sockets that never block. The program may close either and open a file of its own
    /// in its place: so before each use it is looked at whether it still is ours.
    pub(crate) struct Wake {
        reader: End,
        writer: End,
    }

    impl Wake {
        pub(crate) fn new() -> io::Result<Self> {
            let (reader, writer) = UnixStream::pair()?;
            Ok(Wake { reader: End::of(reader)?, writer: End::of(writer)? })
        }

        pub(crate) fn is_lost(&self) -> bool {
            self.reader.ours().is_none() || self.writer.ours().is_none()
        }

        /// Whether that could be done.
        pub(crate) fn write(&self) -> bool {
            self.reader.ours().is_some()
                && self.writer.ours().is_some_and(|mut file| file.write(&[1]).is_ok())
        }

        pub(crate) fn drain(&self) {
            let mut bytes = [0; 8];
            // Nothing there is no error.
            let _ = self.reader.ours().map(|mut file| file.read(&mut bytes));
        }

        pub(crate) fn descriptor(&self) -> Option<isize> {
            self.reader.ours().and_then(|file| isize::try_from(file.as_raw_fd()).ok())
        }
    }

    struct End {
        /// Always there until it is dropped.
        file: Option<File>,
        inode: (u64, u64),
    }

    impl End {
        fn of(stream: UnixStream) -> io::Result<Self> {
            stream.set_nonblocking(true)?;
            let file = File::from(OwnedFd::from(stream));
            let inode = inode(&file)?;
            Ok(End { file: Some(file), inode })
        }

        fn ours(&self) -> Option<&File> {
            self.file.as_ref().filter(|file| inode(file).is_ok_and(|inode| inode == self.inode))
        }
    }

    impl Drop for End {
        fn drop(&mut self) {
            if self.ours().is_none() {
                // The number is another one's by now, who closes it.
                let _ = self.file.take().map(IntoRawFd::into_raw_fd);
            }
        }
    }

    fn inode(file: &File) -> io::Result<(u64, u64)> {
        file.metadata().map(|metadata| (metadata.dev(), metadata.ino()))
    }
}

#[cfg(windows)]
mod windows {
    use std::io::{self, PipeReader, PipeWriter, Write};
    use std::os::windows::io::IntoRawHandle;

    /// A pipe, which never holds more than one byte.
    pub(crate) struct Wake {
        reader: PipeReader,
        writer: PipeWriter,
    }

    impl Wake {
        pub(crate) fn new() -> io::Result<Self> {
            io::pipe().map(|(reader, writer)| Wake { reader, writer })
        }

        pub(crate) fn is_lost(&self) -> bool {
            false
        }

        /// Whether that could be done.
        pub(crate) fn write(&self) -> bool {
            (&self.writer).write(&[1]).is_ok()
        }

        /// The waiting thread has read the byte.
        pub(crate) fn drain(&self) {}

        pub(crate) fn descriptor(&self) -> Option<isize> {
            self.reader.try_clone().ok().map(|reader| reader.into_raw_handle() as isize)
        }
    }
}
