use std::fs::{self, File};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::fake::FakeHost;
use super::*;

fn untold(host: &FakeHost) -> Untold {
    HostPage::map(&host.fd).expect_err("not to be believed")
}

#[test]
fn the_pages_that_are_refused_are_named_by_why() {
    assert_eq!(open(c"/dev/there/is/none").unwrap_err(), Untold::Absent);
    let host = FakeHost::new();
    assert!(HostPage::map(&host.fd).is_ok());
    host.layout.size.store(103_u32.to_le(), Ordering::SeqCst);
    assert_eq!(untold(&host), Untold::TooShort);
    host.layout.version.store(2_u16.to_le(), Ordering::SeqCst);
    assert_eq!(untold(&host), Untold::OtherVersion);
    host.layout.magic.store(u32::from_le_bytes(*b"VCLJ").to_le(), Ordering::SeqCst);
    assert_eq!(untold(&host), Untold::NoVmclock);
    // A device, but another one.
    assert_eq!(HostPage::map(&open(c"/dev/zero").unwrap()).unwrap_err(), Untold::NoVmclock);
    assert_eq!(HostPage::map(&open(c"/dev/null").unwrap()).unwrap_err(), Untold::Unreadable);
}

#[test]
fn a_file_that_could_be_cut_while_it_is_read_is_refused_and_a_device_or_a_sealed_one_cannot_be() {
    let host = FakeHost::unsealed();
    assert_eq!(untold(&host), Untold::MayShrink);
    let path = std::env::temp_dir().join(format!("ntp-clock-vmclock-{}", std::process::id()));
    fs::write(&path, vec![0; 4096]).unwrap();
    assert_eq!(HostPage::map(&File::open(&path).unwrap().into()).unwrap_err(), Untold::MayShrink);
    fs::remove_file(&path).unwrap();

    let host = FakeHost::new();
    let page = host.page();
    // SAFETY: takes numbers alone.
    assert_eq!(unsafe { libc::ftruncate(host.fd.as_raw_fd(), 0) }, -1, "it is sealed");
    assert_eq!(page.look(), Life::default());
}

#[test]
fn what_the_host_says_is_seen_at_once_and_that_it_writes_without_end_too() {
    let host = FakeHost::new();
    let page = host.page();
    assert_eq!((page.glance(), page.look()), (Life::default(), Life::default()));
    host.adjusts();
    assert_eq!((page.glance(), page.look()), (Life::default(), Life::default()));
    host.moves();
    let moved = Life { marker: 1, generation: 0 };
    assert_eq!((page.glance(), page.look()), (moved, moved));
    host.restores();
    let restored = Life { marker: 2, generation: 1 };
    assert_eq!((page.glance(), page.look()), (restored, restored));
    host.begins();
    assert_eq!((page.glance(), page.look()), (Life::UNCLEAR, Life::UNCLEAR));
    host.ends();
    assert_eq!((page.glance(), page.look()), (restored, restored));
    host.layout.flags.store(0, Ordering::SeqCst);
    assert_eq!(page.look(), Life { generation: 0, ..restored }, "it does not count them");
}

#[test]
fn a_look_never_mixes_two_states_of_the_page() {
    let host = FakeHost::new();
    let page = host.page();
    let done = AtomicBool::new(false);
    let looked = AtomicU64::new(0);
    let mut written = 0;
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut seen = 0_u64;
                while !done.load(Ordering::Relaxed) {
                    let life = page.look();
                    if life != Life::UNCLEAR {
                        assert_eq!(life.marker, life.generation, "{life:?}");
                        assert!(life.marker >= seen);
                        looked.fetch_add(u64::from(life.marker > seen), Ordering::Relaxed);
                        seen = life.marker;
                    }
                }
            });
        }
        let begun = std::time::Instant::now();
        while looked.load(Ordering::Relaxed) < 1_000 && begun.elapsed().as_secs() < 30 {
            host.restores();
            written += 1;
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(looked.into_inner() >= 1_000, "readers saw too little of what was written");
    assert_eq!(page.look().generation, written);
}
