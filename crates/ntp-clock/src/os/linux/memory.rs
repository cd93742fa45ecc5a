//! Memory that processes share: files without a name, which nobody can truncate under a reader and
//! which only their maker can write.

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl, open};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use nix::sys::stat::{FileStat, Mode, fchmod, fstat};
use nix::unistd::ftruncate;

/// What memory is mapped as: plain atomics, for which every pattern of bits is a value, so that
/// whatever another process writes is one as well.
///
/// # Safety
/// All of the type is atomics, without padding, and its size is at most a page's.
pub(crate) unsafe trait Words {}

/// A memory file and who may do what with it.
#[derive(Debug)]
pub(crate) struct MemoryFile(OwnedFd);

impl MemoryFile {
    /// A file of that size, zeros, which only our user may open again.
    pub(crate) fn create(name: &CStr, bytes: usize) -> io::Result<Self> {
        let fd = memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        fchmod(&fd, Mode::S_IRUSR | Mode::S_IWUSR)?;
        ftruncate(&fd, i64::try_from(bytes).map_err(io::Error::other)?)?;
        Ok(MemoryFile(fd))
    }

    /// One that another process handed over, if it is of that size and bears these seals.
    pub(crate) fn received(fd: OwnedFd, bytes: usize, seals: Seals) -> io::Result<Self> {
        // A plain file has none, and the kernel says that it cannot have any.
        let has =
            fcntl(&fd, FcntlArg::F_GET_SEALS).map_or(SealFlag::empty(), SealFlag::from_bits_retain);
        let FileStat { st_size, .. } = fstat(&fd)?;
        if !has.contains(seals.flags()) {
            return Err(io::Error::other("the memory is not sealed"));
        }
        if usize::try_from(st_size) != Ok(bytes) {
            let detail = format!("the memory has {st_size} bytes, not {bytes}");
            return Err(io::Error::other(detail));
        }
        Ok(MemoryFile(fd))
    }

    /// Nobody can do more with it from now on than these seals leave. Maps made before stay.
    pub(crate) fn seal(&self, seals: Seals) -> io::Result<()> {
        fcntl(&self.0, FcntlArg::F_ADD_SEALS(seals.flags()))?;
        Ok(())
    }

    /// The same memory, open for reading alone.
    pub(crate) fn for_reading(&self) -> io::Result<OwnedFd> {
        let path = format!("/proc/self/fd/{}", self.0.as_raw_fd());
        Ok(open(path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?)
    }

    /// Maps it for reading. It stays mapped as long as the process lives: readers never lock, so
    /// nobody knows when the last one has gone.
    pub(crate) fn map<T: Words>(&self) -> io::Result<&'static T> {
        self.map_as(ProtFlags::PROT_READ)
    }

    /// Maps it for reading and writing.
    pub(crate) fn map_writable<T: Words>(&self) -> io::Result<&'static T> {
        self.map_as(ProtFlags::PROT_READ | ProtFlags::PROT_WRITE)
    }

    fn map_as<T: Words>(&self, access: ProtFlags) -> io::Result<&'static T> {
        let FileStat { st_size, .. } = fstat(&self.0)?;
        let length = NonZeroUsize::new(size_of::<T>()).ok_or(io::ErrorKind::InvalidInput)?;
        if usize::try_from(st_size).is_ok_and(|size| size < length.get()) {
            return Err(io::Error::other("the memory is shorter than what is to be mapped"));
        }
        // SAFETY: a new map at no particular place, of memory that cannot shrink: its maker has not
        // given it to anybody yet, or it bears the seal.
        let start = unsafe { mmap(None, length, access, MapFlags::MAP_SHARED, &self.0, 0) }?;
        let start: NonNull<T> = start.cast();
        // SAFETY: maps begin at a page, which is aligned for `T`, are at least as long as `T`, are
        // never unmapped, and by `Words` every content is a `T`. Others change it by atomics alone;
        // who changes it otherwise only makes it another value.
        Ok(unsafe { start.as_ref() })
    }
}

impl AsFd for MemoryFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<MemoryFile> for OwnedFd {
    fn from(file: MemoryFile) -> Self {
        file.0
    }
}

/// What nobody can do any more with a memory file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Seals {
    /// Change its size.
    Size,
    /// Change its size; write, except by maps that exist already.
    SizeAndWriting,
}

impl Seals {
    fn flags(self) -> SealFlag {
        let size = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
        match self {
            Seals::Size => size,
            Seals::SizeAndWriting => size | SealFlag::from_bits_retain(libc::F_SEAL_FUTURE_WRITE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[repr(C)]
    struct Two([AtomicU64; 2]);

    // SAFETY: two atomics and nothing else.
    unsafe impl Words for Two {}

    fn sealed() -> (MemoryFile, &'static Two) {
        let file = MemoryFile::create(c"test", 16).unwrap();
        let writer = file.map_writable::<Two>().unwrap();
        file.seal(Seals::SizeAndWriting).unwrap();
        (file, writer)
    }

    #[test]
    fn what_its_maker_writes_is_read_by_others_who_can_neither_write_nor_truncate_it() {
        let (file, writer) = sealed();
        let given = file.0.try_clone().unwrap();
        let theirs = MemoryFile::received(given, 16, Seals::SizeAndWriting).unwrap();
        let reader = theirs.map::<Two>().unwrap();
        writer.0[1].store(7, Ordering::SeqCst);
        assert_eq!(reader.0[1].load(Ordering::SeqCst), 7);
        assert!(theirs.map_writable::<Two>().is_err());
        assert!(ftruncate(&theirs, 0).is_err());
        assert!(nix::unistd::write(&theirs, b"x").is_err());
    }

    #[test]
    fn memory_of_another_size_or_without_seals_is_refused() {
        let (file, _) = sealed();
        let given = || file.0.try_clone().unwrap();
        assert!(MemoryFile::received(given(), 24, Seals::Size).is_err());
        let open = MemoryFile::create(c"test", 16).unwrap();
        assert!(MemoryFile::received(open.into(), 16, Seals::Size).is_err());
        let disk = tempfile(16);
        assert!(MemoryFile::received(disk, 16, Seals::Size).is_err());
    }

    /// A plain file, which bears no seals.
    fn tempfile(bytes: u64) -> OwnedFd {
        let path = std::env::temp_dir().join(format!("ntp-clock-{}", std::process::id()));
        let file = std::fs::File::create_new(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file.set_len(bytes).unwrap();
        file.into()
    }

    #[test]
    fn a_file_open_for_reading_alone_cannot_be_mapped_for_writing() {
        let control = MemoryFile::create(c"test", 16).unwrap();
        control.seal(Seals::Size).unwrap();
        let given = control.for_reading().unwrap();
        let theirs = MemoryFile::received(given, 16, Seals::Size).unwrap();
        assert!(theirs.map::<Two>().is_ok());
        assert!(theirs.map_writable::<Two>().is_err());
    }
}
