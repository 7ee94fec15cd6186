//! std's tests of `mpsc::channel`, on std's and on ours.
//!
//! Two of them spin until something changes; here they yield, since a green thread that only spins keeps its hub.
#![expect(
    clippy::disallowed_methods,
    reason = "OS threads are one of the ways to run"
)]

#[macro_use]
#[path = "support/parity.rs"]
mod parity;

use std::time::{Duration, Instant};

/// How often the tests that have no number of their own repeat.
const REPEATS: usize = 20;

const MOMENT: Duration = Duration::from_millis(1);

parity! {
    fn smoke() {
        let (sender, receiver) = mpsc::channel();
        sender.send(1).unwrap();
        assert_eq!(receiver.recv(), Ok(1));
    }

    fn drop_full() {
        let (sender, _receiver) = mpsc::channel();
        sender.send(Box::new(1)).unwrap();
    }

    fn drop_full_shared() {
        let (sender, _receiver) = mpsc::channel();
        drop(sender.clone());
        drop(sender.clone());
        sender.send(Box::new(1)).unwrap();
    }

    fn smoke_shared() {
        let (sender, receiver) = mpsc::channel();
        sender.send(1).unwrap();
        assert_eq!(receiver.recv(), Ok(1));
        let another = sender.clone();
        another.send(1).unwrap();
        assert_eq!(receiver.recv(), Ok(1));
    }

    fn smoke_threads() {
        let (sender, receiver) = mpsc::channel();
        let sending = thread::spawn(move || sender.send(1).unwrap());
        assert_eq!(receiver.recv(), Ok(1));
        sending.join().unwrap();
    }

    fn smoke_port_gone() {
        let (sender, receiver) = mpsc::channel();
        drop(receiver);
        assert_eq!(sender.send(1), Err(mpsc::SendError(1)));
    }

    fn smoke_shared_port_gone() {
        let (sender, receiver) = mpsc::channel();
        let another = sender.clone();
        drop(receiver);
        assert!(sender.send(1).is_err() && another.send(1).is_err());
    }

    fn smoke_shared_port_gone2() {
        let (sender, receiver) = mpsc::channel();
        drop(receiver);
        let another = sender.clone();
        drop(sender);
        assert!(another.send(1).is_err());
    }

    fn port_gone_concurrent() {
        let (sender, receiver) = mpsc::channel();
        let receiving = thread::spawn(move || receiver.recv().unwrap());
        while sender.send(1).is_ok() {
            thread::yield_now();
        }
        assert_eq!(receiving.join().unwrap(), 1);
    }

    fn port_gone_concurrent_shared() {
        let (sender, receiver) = mpsc::channel();
        let another = sender.clone();
        let receiving = thread::spawn(move || receiver.recv().unwrap());
        while sender.send(1).is_ok() && another.send(1).is_ok() {
            thread::yield_now();
        }
        assert_eq!(receiving.join().unwrap(), 1);
    }

    fn smoke_chan_gone() {
        let (sender, receiver) = mpsc::channel::<i32>();
        drop(sender);
        assert_eq!(receiver.recv(), Err(mpsc::RecvError));
    }

    fn smoke_chan_gone_shared() {
        let (sender, receiver) = mpsc::channel::<()>();
        let another = sender.clone();
        drop(sender);
        drop(another);
        assert_eq!(receiver.recv(), Err(mpsc::RecvError));
    }

    fn chan_gone_concurrent() {
        let (sender, receiver) = mpsc::channel();
        let sending = thread::spawn(move || {
            sender.send(1).unwrap();
            sender.send(1).unwrap();
        });
        let mut count = 0;
        while receiver.recv().is_ok() {
            count += 1;
        }
        sending.join().unwrap();
        assert_eq!(count, 2);
    }

    fn stress() {
        const COUNT: i32 = 10_000;
        let (sender, receiver) = mpsc::channel();
        let sending = thread::spawn(move || (0..COUNT).for_each(|n| sender.send(n).unwrap()));
        for n in 0..COUNT {
            assert_eq!(receiver.recv(), Ok(n));
        }
        sending.join().unwrap();
    }

    fn stress_shared() {
        const COUNT: usize = 10_000;
        const SENDERS: usize = 8;
        let (sender, receiver) = mpsc::channel();
        let receiving = thread::spawn(move || {
            for _ in 0..COUNT * SENDERS {
                assert_eq!(receiver.recv(), Ok(1));
            }
            assert!(receiver.try_recv().is_err());
        });
        for _ in 0..SENDERS {
            let sender = sender.clone();
            thread::spawn(move || (0..COUNT).for_each(|_| sender.send(1).unwrap()));
        }
        drop(sender);
        receiving.join().unwrap();
    }

    fn send_from_outside_runtime() {
        let (ready, is_ready) = mpsc::channel();
        let (sender, receiver) = mpsc::channel();
        let receiving = thread::spawn(move || {
            ready.send(()).unwrap();
            for _ in 0..40 {
                assert_eq!(receiver.recv(), Ok(1));
            }
        });
        is_ready.recv().unwrap();
        let sending = thread::spawn(move || (0..40).for_each(|_| sender.send(1).unwrap()));
        receiving.join().unwrap();
        sending.join().unwrap();
    }

    fn recv_from_outside_runtime() {
        let (sender, receiver) = mpsc::channel();
        let receiving = thread::spawn(move || {
            for _ in 0..40 {
                assert_eq!(receiver.recv(), Ok(1));
            }
        });
        (0..40).for_each(|_| sender.send(1).unwrap());
        receiving.join().unwrap();
    }

    fn no_runtime() {
        let (ping, pings) = mpsc::channel();
        let (pong, pongs) = mpsc::channel();
        let answering = thread::spawn(move || {
            assert_eq!(pings.recv(), Ok(1));
            pong.send(2).unwrap();
        });
        let asking = thread::spawn(move || {
            ping.send(1).unwrap();
            assert_eq!(pongs.recv(), Ok(2));
        });
        answering.join().unwrap();
        asking.join().unwrap();
    }

    fn oneshot_single_thread_close_port_first() {
        let (_sender, receiver) = mpsc::channel::<i32>();
        drop(receiver);
    }

    fn oneshot_single_thread_close_chan_first() {
        let (sender, _receiver) = mpsc::channel::<i32>();
        drop(sender);
    }

    fn oneshot_single_thread_send_port_close() {
        let (sender, receiver) = mpsc::channel();
        drop(receiver);
        assert_eq!(*sender.send(Box::new(5)).unwrap_err().0, 5);
    }

    fn oneshot_single_thread_recv_chan_close() {
        let receiving = thread::spawn(|| {
            let (sender, receiver) = mpsc::channel::<i32>();
            drop(sender);
            receiver.recv().unwrap()
        });
        assert!(receiving.join().is_err());
    }

    fn oneshot_single_thread_send_then_recv() {
        let (sender, receiver) = mpsc::channel();
        sender.send(Box::new(10)).unwrap();
        assert_eq!(*receiver.recv().unwrap(), 10);
    }

    fn oneshot_single_thread_try_send_open() {
        let (sender, receiver) = mpsc::channel();
        assert_eq!(sender.send(10), Ok(()));
        assert_eq!(receiver.recv(), Ok(10));
    }

    fn oneshot_single_thread_try_send_closed() {
        let (sender, receiver) = mpsc::channel();
        drop(receiver);
        assert_eq!(sender.send(10), Err(mpsc::SendError(10)));
    }

    fn oneshot_single_thread_try_recv_open() {
        let (sender, receiver) = mpsc::channel();
        sender.send(10).unwrap();
        assert_eq!(receiver.recv(), Ok(10));
    }

    fn oneshot_single_thread_try_recv_closed() {
        let (sender, receiver) = mpsc::channel::<i32>();
        drop(sender);
        assert_eq!(receiver.recv(), Err(mpsc::RecvError));
    }

    fn oneshot_single_thread_peek_data() {
        let (sender, receiver) = mpsc::channel();
        assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Empty));
        sender.send(10).unwrap();
        assert_eq!(receiver.try_recv(), Ok(10));
    }

    fn oneshot_single_thread_peek_close() {
        let (sender, receiver) = mpsc::channel::<i32>();
        drop(sender);
        for _ in 0..2 {
            assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Disconnected));
        }
    }

    fn oneshot_single_thread_peek_open() {
        let (_sender, receiver) = mpsc::channel::<i32>();
        assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Empty));
    }

    fn oneshot_multi_task_recv_then_send() {
        let (sender, receiver) = mpsc::channel();
        let receiving = thread::spawn(move || assert_eq!(receiver.recv(), Ok(Box::new(10))));
        sender.send(Box::new(10)).unwrap();
        receiving.join().unwrap();
    }

    fn oneshot_multi_task_recv_then_close() {
        let (sender, receiver) = mpsc::channel::<Box<i32>>();
        let closing = thread::spawn(move || drop(sender));
        let receiving = thread::spawn(move || receiver.recv().unwrap());
        assert!(receiving.join().is_err());
        closing.join().unwrap();
    }

    fn oneshot_multi_thread_close_stress() {
        for _ in 0..REPEATS {
            let (sender, receiver) = mpsc::channel::<i32>();
            let closing = thread::spawn(move || drop(receiver));
            drop(sender);
            closing.join().unwrap();
        }
    }

    fn oneshot_multi_thread_send_close_stress() {
        for _ in 0..REPEATS {
            let (sender, receiver) = mpsc::channel();
            let closing = thread::spawn(move || drop(receiver));
            let sending = thread::spawn(move || sender.send(1).is_ok());
            sending.join().unwrap();
            closing.join().unwrap();
        }
    }

    fn oneshot_multi_thread_recv_close_stress() {
        for _ in 0..REPEATS {
            let (sender, receiver) = mpsc::channel::<i32>();
            let outer = thread::spawn(move || {
                let receiving = thread::spawn(move || receiver.recv());
                assert_eq!(receiving.join().unwrap(), Err(mpsc::RecvError));
            });
            let closing = thread::spawn(move || drop(thread::spawn(move || drop(sender))));
            outer.join().unwrap();
            closing.join().unwrap();
        }
    }

    fn oneshot_multi_thread_send_recv_stress() {
        for _ in 0..REPEATS {
            let (sender, receiver) = mpsc::channel();
            let sending = thread::spawn(move || sender.send(Box::new(10)).unwrap());
            assert_eq!(*receiver.recv().unwrap(), 10);
            sending.join().unwrap();
        }
    }

    fn stream_send_recv_stress() {
        fn send_from(sender: mpsc::Sender<Box<i32>>, n: i32) {
            if n < 10 {
                thread::spawn(move || {
                    sender.send(Box::new(n)).unwrap();
                    send_from(sender, n + 1);
                });
            }
        }
        fn receive_from(receiver: mpsc::Receiver<Box<i32>>, n: i32, done: mpsc::Sender<()>) {
            if n == 10 {
                return done.send(()).unwrap();
            }
            thread::spawn(move || {
                assert_eq!(*receiver.recv().unwrap(), n);
                receive_from(receiver, n + 1, done);
            });
        }
        for _ in 0..REPEATS {
            let (sender, receiver) = mpsc::channel();
            let (done, is_done) = mpsc::channel();
            send_from(sender, 0);
            receive_from(receiver, 0, done);
            is_done.recv().unwrap();
        }
    }

    fn oneshot_single_thread_recv_timeout() {
        let (sender, receiver) = mpsc::channel();
        sender.send(()).unwrap();
        assert_eq!(receiver.recv_timeout(MOMENT), Ok(()));
        assert_eq!(receiver.recv_timeout(MOMENT), Err(mpsc::RecvTimeoutError::Timeout));
        sender.send(()).unwrap();
        assert_eq!(receiver.recv_timeout(MOMENT), Ok(()));
    }

    fn stress_recv_timeout_two_threads() {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            for n in 0..50 {
                if n % 2 == 0 {
                    thread::sleep(MOMENT * 4);
                }
                sender.send(1).unwrap();
            }
        });
        let mut received = 0;
        loop {
            match receiver.recv_timeout(MOMENT * 2) {
                Ok(n) => received += n,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
        assert_eq!(received, 50);
    }

    fn recv_timeout_upgrade() {
        let (sender, receiver) = mpsc::channel::<()>();
        let _another = sender.clone();
        let start = Instant::now();
        assert_eq!(receiver.recv_timeout(MOMENT), Err(mpsc::RecvTimeoutError::Timeout));
        assert!(start.elapsed() >= MOMENT);
    }

    fn stress_recv_timeout_shared() {
        let (sender, receiver) = mpsc::channel();
        for n in 0..100 {
            let sender = sender.clone();
            thread::spawn(move || {
                thread::sleep(MOMENT * n);
                sender.send(1).unwrap();
            });
        }
        drop(sender);
        let mut received = 0;
        loop {
            match receiver.recv_timeout(MOMENT) {
                Ok(n) => received += n,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
        assert_eq!(received, 100);
    }

    fn very_long_recv_timeout_wont_panic() {
        let (sender, receiver) = mpsc::channel();
        let receiving = thread::spawn(move || receiver.recv_timeout(Duration::from_secs(u64::MAX)));
        thread::sleep(MOMENT * 20);
        sender.send(()).unwrap();
        assert_eq!(receiving.join().unwrap(), Ok(()));
    }

    fn recv_a_lot() {
        let (sender, receiver) = mpsc::channel();
        for n in 0..10_000 {
            sender.send(n).unwrap();
        }
        for n in 0..10_000 {
            assert_eq!(receiver.recv(), Ok(n));
        }
    }

    fn shared_recv_timeout() {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..5 {
            let sender = sender.clone();
            thread::spawn(move || sender.send(()).unwrap());
        }
        for _ in 0..5 {
            receiver.recv().unwrap();
        }
        assert_eq!(receiver.recv_timeout(MOMENT), Err(mpsc::RecvTimeoutError::Timeout));
        sender.send(()).unwrap();
        assert_eq!(receiver.recv_timeout(MOMENT), Ok(()));
    }

    fn shared_chan_stress() {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..100 {
            let sender = sender.clone();
            thread::spawn(move || sender.send(()).unwrap());
        }
        for _ in 0..100 {
            receiver.recv().unwrap();
        }
    }

    fn test_nested_recv_iter() {
        let (sender, receiver) = mpsc::channel::<i32>();
        let (sum, sums) = mpsc::channel();
        thread::spawn(move || sum.send(receiver.iter().sum::<i32>()).unwrap());
        for n in [3, 1, 2] {
            sender.send(n).unwrap();
        }
        drop(sender);
        assert_eq!(sums.recv(), Ok(6));
    }

    fn test_recv_iter_break() {
        let (sender, receiver) = mpsc::channel();
        let (count, counts) = mpsc::channel();
        thread::spawn(move || {
            let mut sum = 0;
            for n in receiver.iter() {
                if sum >= 3 {
                    break;
                }
                sum += n;
            }
            count.send(sum).unwrap();
        });
        for _ in 0..3 {
            sender.send(2).unwrap();
        }
        sender.send(2).ok();
        drop(sender);
        assert_eq!(counts.recv(), Ok(4));
    }

    fn test_recv_try_iter() {
        let (request, requests) = mpsc::channel();
        let (response, responses) = mpsc::channel();
        let requesting = thread::spawn(move || {
            let mut sum = 0;
            loop {
                for n in responses.try_iter() {
                    sum += n;
                    if sum == 6 {
                        return sum;
                    }
                }
                request.send(()).unwrap();
                thread::yield_now();
            }
        });
        for () in requests.iter() {
            if response.send(2).is_err() {
                break;
            }
        }
        assert_eq!(requesting.join().unwrap(), 6);
    }

    fn test_recv_into_iter_owned() {
        let mut messages = {
            let (sender, receiver) = mpsc::channel();
            sender.send(1).unwrap();
            sender.send(2).unwrap();
            receiver.into_iter()
        };
        assert_eq!([messages.next(), messages.next(), messages.next()], [Some(1), Some(2), None]);
    }

    fn test_recv_into_iter_borrowed() {
        let (sender, receiver) = mpsc::channel();
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        drop(sender);
        let mut messages = IntoIterator::into_iter(&receiver);
        assert_eq!([messages.next(), messages.next(), messages.next()], [Some(1), Some(2), None]);
    }

    fn try_recv_states() {
        let (sender, receiver) = mpsc::channel();
        let (go, going) = mpsc::channel();
        let (done, is_done) = mpsc::channel();
        thread::spawn(move || {
            going.recv().unwrap();
            sender.send(1).unwrap();
            done.send(()).unwrap();
            going.recv().unwrap();
            drop(sender);
            done.send(()).unwrap();
        });
        assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Empty));
        go.send(()).unwrap();
        is_done.recv().unwrap();
        assert_eq!(receiver.try_recv(), Ok(1));
        assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Empty));
        go.send(()).unwrap();
        is_done.recv().unwrap();
        assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    }

    fn destroy_upgraded_shared_port_when_sender_still_active() {
        let (sender, receiver) = mpsc::channel();
        let (done, is_done) = mpsc::channel();
        thread::spawn(move || {
            receiver.recv().unwrap();
            drop(receiver);
            done.send(()).unwrap();
        });
        for _ in 0..5_000 {
            thread::yield_now();
        }
        let another = sender.clone();
        drop(sender);
        another.send(()).unwrap();
        is_done.recv().unwrap();
    }

    fn issue_32114() {
        let (sender, receiver) = mpsc::channel();
        drop(receiver);
        assert_eq!(sender.send(123), Err(mpsc::SendError(123)));
        assert_eq!(sender.send(123), Err(mpsc::SendError(123)));
    }

    fn issue_39364() {
        let (sender, receiver) = mpsc::channel::<()>();
        let holding = thread::spawn(move || {
            thread::sleep(MOMENT * 10);
            drop(sender.clone());
            sender
        });
        assert_eq!(receiver.recv_timeout(MOMENT * 20), Err(mpsc::RecvTimeoutError::Timeout));
        let _sender = holding.join().unwrap();
        assert_eq!(receiver.recv_timeout(MOMENT * 20), Err(mpsc::RecvTimeoutError::Timeout));
    }
}
