//! A disk to be rough with: a small ext4 file system of its own on a loop device. Its power can be
//! cut (the file system is shut down without flushing its log, then mounted again as after a
//! reboot), and it can be filled to the last block. It does not model a drive's own cache. Needs
//! root, a loop device, `mkfs.ext4`, `mount` and `python3`, for the one ioctl that safe Rust cannot
//! make; a machine that lacks one of them is told which.

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`, when a line arrives.
const CUT: &str = "import fcntl, os, struct, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
print('ready', flush=True)
sys.stdin.readline()
fcntl.ioctl(fd, 0x8004587D, struct.pack('I', 2))";
/// How long a file system may stay busy after its last process has been waited for: the kernel
/// closes files a moment later.
const BUSY_DEADLINE: Duration = Duration::from_secs(20);
/// Takes up the room of a disk that is full.
const BALLAST: &str = "ballast";

/// A file system on a loop device, unmounted when it is dropped.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    root: PathBuf,
    mounted: bool,
}

impl Disk {
    /// Makes a file system of so many bytes, with its image in `dir`, and mounts it there.
    ///
    /// # Errors
    /// When the machine lacks what that needs.
    pub fn make(dir: &Path, bytes: u64) -> Result<Self> {
        let (image, root) = (dir.join("image"), dir.join("mounted"));
        let made = File::create(&image).and_then(|file| file.set_len(bytes));
        made.with_context(|| format!("cannot make {}", image.display()))?;
        run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), &image])?;
        fs::create_dir(&root).with_context(|| format!("cannot make {}", root.display()))?;
        let mut disk = Self { image, root, mounted: false };
        disk.mount()?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes ready to cut the power; what is slow about it is done before.
    ///
    /// # Errors
    /// When there is no python3.
    pub fn cutter(&self) -> Result<Cutter> {
        let mut command = Command::new("python3");
        command.args(["-c", CUT]).arg(&self.root).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("a power cut needs python3, to make an ioctl")?;
        let mut line = [0; 6];
        if let Some(output) = child.stdout.as_mut() {
            output.read_exact(&mut line).context("python3 cannot open the file system")?;
        }
        Ok(Cutter(child))
    }

    /// Mounts it again as after a reboot: the log is replayed. Whoever has it open must be gone.
    ///
    /// # Errors
    /// When it stays busy or cannot be mounted.
    pub fn reboot(&mut self) -> Result<()> {
        let deadline = Instant::now() + BUSY_DEADLINE;
        while let Err(error) = run("umount", &[&self.root]) {
            if Instant::now() > deadline {
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.mounted = false;
        self.mount()
    }

    /// Takes up all room but about `left` bytes.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn fill(&self, left: u64) -> Result<()> {
        let room = statvfs(&self.root).context("the disk")?;
        let free = room.f_bavail * room.f_frsize;
        let path = self.root.join(BALLAST);
        let file =
            File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let taken = fallocate(&file, FallocateFlags::empty(), 0, free.saturating_sub(left).max(1));
        taken.context("cannot fill the disk")
    }

    /// Gives back what [`Disk::fill`] took.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn make_room(&self) -> Result<()> {
        fs::remove_file(self.root.join(BALLAST)).context("cannot make room on the disk")
    }

    fn mount(&mut self) -> Result<()> {
        run("mount", &["-o".as_ref(), "loop".as_ref(), &self.image, &self.root])?;
        self.mounted = true;
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            // Lazily: a process that is just ending must not leave a mount behind.
            drop(Command::new("umount").arg("-l").arg(&self.root).status());
        }
    }
}

/// Cuts the power of one disk.
#[derive(Debug)]
pub struct Cutter(Child);

impl Cutter {
    /// Cuts it: nothing that was not durable reaches the disk any more.
    ///
    /// # Errors
    /// When the file system cannot be shut down.
    pub fn cut(mut self) -> Result<()> {
        if let Some(input) = self.0.stdin.as_mut() {
            input.write_all(b"\n").context("cannot tell python3 to cut the power")?;
        }
        let status = self.0.wait().context("cannot wait for python3")?;
        ensure!(status.success(), "EXT4_IOC_SHUTDOWN failed: a power cut needs root and ext4");
        Ok(())
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        // It has ended already when it has cut.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn run(program: &str, arguments: &[&Path]) -> Result<()> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("a disk of our own needs `{program}`"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    bail!("a disk of our own needs root, a loop device and e2fsprogs: {program}: {}", said.trim())
}
