//! Jobs that make more jobs, and a wait for the last of them.
//!
//! Shows `JoinableQueue`: `task_done` after each job, and `join`, which waits until there is none left, those included that
//! others have put meanwhile. The workers then still wait for more, and are killed.
//!
//!     cargo run -p green-examples --example job_queue

use std::sync::Arc;
use std::time::Duration;

use green::queue::JoinableQueue;
use green::sync::Mutex;

/// A node of a tree: it has one child fewer than its parent, and the root has five.
#[derive(Clone, Copy)]
struct Job {
    depth: u32,
}

fn main() {
    let jobs = JoinableQueue::unbounded();
    let done = Arc::new(Mutex::new([0_u32; 6]));
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let (jobs, done) = (jobs.clone(), Arc::clone(&done));
            green::spawn(move || {
                for job in jobs.iter() {
                    work(job, &jobs, &done);
                    jobs.task_done();
                }
            })
        })
        .collect();

    jobs.put(Job { depth: 0 }).expect("the queue is open");
    assert!(jobs.join_timeout(Duration::from_secs(30)), "all get done");
    let done = *done.lock().unwrap();
    println!("jobs done, by depth: {done:?}");
    // Each has one child fewer than its parent had: 5, 4, 3, …
    assert_eq!(done, [1, 5, 20, 60, 120, 120]);

    green::killall(&workers);
    println!("the workers have gone home");
}

/// Takes a moment, and puts the jobs that follow from it.
fn work(job: Job, jobs: &JoinableQueue<Job>, done: &Mutex<[u32; 6]>) {
    green::sleep(Duration::from_millis(1));
    for _ in job.depth..5 {
        let child = Job {
            depth: job.depth + 1,
        };
        jobs.put(child).expect("the queue is open");
    }
    done.lock().unwrap()[job.depth as usize] += 1;
}
