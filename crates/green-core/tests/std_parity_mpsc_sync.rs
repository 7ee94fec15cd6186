//! std's tests of `mpsc::sync_channel`, on std's and on ours.
#![expect(
    clippy::disallowed_methods,
    reason = "OS threads are one of the ways to run"
)]

#[macro_use]
#[path = "support/parity.rs"]
mod parity;

use std::rc::Rc;
use std::time::Duration;

/// How often the tests that have no number of their own repeat.
const REPEATS: usize = 20;

const MOMENT: Duration = Duration::from_millis(1);

parity! {
    fn smoke() {
        let (sender, receiver) = mpsc::sync_channel(1);
        sender.send(1).unwrap();
        assert_eq!(receiver.recv(), Ok(1));
    }

    fn drop_full() {
        let (sender, _receiver) = mpsc::sync_channel(1);
        sender.send(Box::new(1)).unwrap();
    }

    fn smoke_shared() {
        let (sender, receiver) = mpsc::sync_channel(1);
        sender.send(1).unwrap();
        assert_eq!(receiver.recv(), Ok(1));
        let another = sender.clone();
        another.send(1).unwrap();
        assert_eq!(receiver.recv(), Ok(1));
    }

    fn recv_timeout() {
        let (sender, receiver) = mpsc::sync_channel(1);
        assert_eq!(receiver.recv_timeout(MOMENT), Err(mpsc::RecvTimeoutError::Timeout));
        sender.send(1).unwrap();
        assert_eq!(receiver.recv_timeout(MOMENT), Ok(1));
    }

    fn smoke_threads() {
        let (sender, receiver) = mpsc::sync_channel(0);
        let sending = thread::spawn(move || sender.send(1).unwrap());
        assert_eq!(receiver.recv(), Ok(1));
        sending.join().unwrap();
    }

    fn smoke_port_gone() {
        let (sender, receiver) = mpsc::sync_channel(0);
        drop(receiver);
        assert_eq!(sender.send(1), Err(mpsc::SendError(1)));
    }

    fn smoke_shared_port_gone2() {
        let (sender, receiver) = mpsc::sync_channel(0);
        drop(receiver);
        let another = sender.clone();
        drop(sender);
        assert_eq!(another.send(1), Err(mpsc::SendError(1)));
    }

    fn port_gone_concurrent() {
        let (sender, receiver) = mpsc::sync_channel(0);
        let receiving = thread::spawn(move || receiver.recv().unwrap());
        while sender.send(1).is_ok() {}
        assert_eq!(receiving.join().unwrap(), 1);
    }

    fn port_gone_concurrent_shared() {
        let (sender, receiver) = mpsc::sync_channel(0);
        let another = sender.clone();
        let receiving = thread::spawn(move || receiver.recv().unwrap());
        while sender.send(1).is_ok() && another.send(1).is_ok() {}
        assert_eq!(receiving.join().unwrap(), 1);
    }

    fn smoke_chan_gone() {
        let (sender, receiver) = mpsc::sync_channel::<i32>(0);
        drop(sender);
        assert_eq!(receiver.recv(), Err(mpsc::RecvError));
    }

    fn smoke_chan_gone_shared() {
        let (sender, receiver) = mpsc::sync_channel::<()>(0);
        let another = sender.clone();
        drop(sender);
        drop(another);
        assert_eq!(receiver.recv(), Err(mpsc::RecvError));
    }

    fn chan_gone_concurrent() {
        let (sender, receiver) = mpsc::sync_channel(0);
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
        let (sender, receiver) = mpsc::sync_channel(0);
        let sending = thread::spawn(move || (0..COUNT).for_each(|n| sender.send(n).unwrap()));
        for n in 0..COUNT {
            assert_eq!(receiver.recv(), Ok(n));
        }
        sending.join().unwrap();
    }

    fn stress_recv_timeout_two_threads() {
        const COUNT: i32 = 10_000;
        let (sender, receiver) = mpsc::sync_channel(0);
        thread::spawn(move || (0..COUNT).for_each(|_| sender.send(1).unwrap()));
        let mut received = 0;
        loop {
            match receiver.recv_timeout(MOMENT) {
                Ok(n) => received += n,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
        assert_eq!(received, COUNT);
    }

    fn stress_recv_timeout_shared() {
        const COUNT: usize = 1_000;
        const SENDERS: usize = 8;
        let (sender, receiver) = mpsc::sync_channel(0);
        let (done, is_done) = mpsc::sync_channel(0);
        thread::spawn(move || {
            let mut received = 0;
            loop {
                match receiver.recv_timeout(MOMENT * 10) {
                    Ok(n) => received += n,
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                    Err(mpsc::RecvTimeoutError::Disconnected) => break,
                }
            }
            assert!(receiver.try_recv().is_err());
            done.send(received).unwrap();
        });
        for _ in 0..SENDERS {
            let sender = sender.clone();
            thread::spawn(move || (0..COUNT).for_each(|_| sender.send(1).unwrap()));
        }
        drop(sender);
        assert_eq!(is_done.recv(), Ok(COUNT * SENDERS));
    }

    fn stress_shared() {
        const COUNT: usize = 1_000;
        const SENDERS: usize = 8;
        let (sender, receiver) = mpsc::sync_channel(0);
        let (done, is_done) = mpsc::sync_channel(0);
        thread::spawn(move || {
            for _ in 0..COUNT * SENDERS {
                assert_eq!(receiver.recv(), Ok(1));
            }
            assert!(receiver.try_recv().is_err());
            done.send(()).unwrap();
        });
        for _ in 0..SENDERS {
            let sender = sender.clone();
            thread::spawn(move || (0..COUNT).for_each(|_| sender.send(1).unwrap()));
        }
        drop(sender);
        is_done.recv().unwrap();
    }

    fn oneshot_single_thread_close_port_first() {
        let (_sender, receiver) = mpsc::sync_channel::<i32>(0);
        drop(receiver);
    }

    fn oneshot_single_thread_close_chan_first() {
        let (sender, _receiver) = mpsc::sync_channel::<i32>(0);
        drop(sender);
    }

    fn oneshot_single_thread_send_port_close() {
        let (sender, receiver) = mpsc::sync_channel(0);
        drop(receiver);
        assert_eq!(*sender.send(Box::new(5)).unwrap_err().0, 5);
    }

    fn oneshot_single_thread_recv_chan_close() {
        let receiving = thread::spawn(|| {
            let (sender, receiver) = mpsc::sync_channel::<i32>(0);
            drop(sender);
            receiver.recv().unwrap()
        });
        assert!(receiving.join().is_err());
    }

    fn oneshot_single_thread_send_then_recv() {
        let (sender, receiver) = mpsc::sync_channel(1);
        sender.send(Box::new(10)).unwrap();
        assert_eq!(*receiver.recv().unwrap(), 10);
    }

    fn oneshot_single_thread_try_send_open() {
        let (sender, receiver) = mpsc::sync_channel(1);
        assert_eq!(sender.try_send(10), Ok(()));
        assert_eq!(receiver.recv(), Ok(10));
    }

    fn oneshot_single_thread_try_send_closed() {
        let (sender, receiver) = mpsc::sync_channel(0);
        drop(receiver);
        assert_eq!(sender.try_send(10), Err(mpsc::TrySendError::Disconnected(10)));
    }

    fn oneshot_single_thread_try_send_closed2() {
        let (sender, _receiver) = mpsc::sync_channel(0);
        assert_eq!(sender.try_send(10), Err(mpsc::TrySendError::Full(10)));
    }

    fn oneshot_single_thread_try_recv_open() {
        let (sender, receiver) = mpsc::sync_channel(1);
        sender.send(10).unwrap();
        assert_eq!(receiver.recv(), Ok(10));
    }

    fn oneshot_single_thread_try_recv_closed() {
        let (sender, receiver) = mpsc::sync_channel::<i32>(0);
        drop(sender);
        assert_eq!(receiver.recv(), Err(mpsc::RecvError));
    }

    fn oneshot_single_thread_try_recv_closed_with_data() {
        let (sender, receiver) = mpsc::sync_channel(1);
        sender.send(10).unwrap();
        drop(sender);
        assert_eq!(receiver.try_recv(), Ok(10));
        assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    }

    fn oneshot_single_thread_peek_data() {
        let (sender, receiver) = mpsc::sync_channel(1);
        assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Empty));
        sender.send(10).unwrap();
        assert_eq!(receiver.try_recv(), Ok(10));
    }

    fn oneshot_single_thread_peek_close() {
        let (sender, receiver) = mpsc::sync_channel::<i32>(0);
        drop(sender);
        for _ in 0..2 {
            assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Disconnected));
        }
    }

    fn oneshot_single_thread_peek_open() {
        let (_sender, receiver) = mpsc::sync_channel::<i32>(0);
        assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Empty));
    }

    fn oneshot_multi_task_recv_then_send() {
        let (sender, receiver) = mpsc::sync_channel(0);
        let receiving = thread::spawn(move || assert_eq!(receiver.recv(), Ok(Box::new(10))));
        sender.send(Box::new(10)).unwrap();
        receiving.join().unwrap();
    }

    fn oneshot_multi_task_recv_then_close() {
        let (sender, receiver) = mpsc::sync_channel::<Box<i32>>(0);
        let closing = thread::spawn(move || drop(sender));
        let receiving = thread::spawn(move || receiver.recv().unwrap());
        assert!(receiving.join().is_err());
        closing.join().unwrap();
    }

    fn oneshot_multi_thread_close_stress() {
        for _ in 0..REPEATS {
            let (sender, receiver) = mpsc::sync_channel::<i32>(0);
            let closing = thread::spawn(move || drop(receiver));
            drop(sender);
            closing.join().unwrap();
        }
    }

    fn oneshot_multi_thread_send_close_stress() {
        for _ in 0..REPEATS {
            let (sender, receiver) = mpsc::sync_channel(0);
            let closing = thread::spawn(move || drop(receiver));
            let sending = thread::spawn(move || sender.send(1));
            assert_eq!(sending.join().unwrap(), Err(mpsc::SendError(1)));
            closing.join().unwrap();
        }
    }

    fn oneshot_multi_thread_recv_close_stress() {
        for _ in 0..REPEATS {
            let (sender, receiver) = mpsc::sync_channel::<i32>(0);
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
            let (sender, receiver) = mpsc::sync_channel(0);
            let sending = thread::spawn(move || sender.send(Box::new(10)).unwrap());
            assert_eq!(*receiver.recv().unwrap(), 10);
            sending.join().unwrap();
        }
    }

    fn stream_send_recv_stress() {
        fn send_from(sender: mpsc::SyncSender<Box<i32>>, n: i32) {
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
            let (sender, receiver) = mpsc::sync_channel(0);
            let (done, is_done) = mpsc::channel();
            send_from(sender, 0);
            receive_from(receiver, 0, done);
            is_done.recv().unwrap();
        }
    }

    fn recv_a_lot() {
        let (sender, receiver) = mpsc::sync_channel(10_000);
        for n in 0..10_000 {
            sender.send(n).unwrap();
        }
        for n in 0..10_000 {
            assert_eq!(receiver.recv(), Ok(n));
        }
    }

    fn shared_chan_stress() {
        let (sender, receiver) = mpsc::sync_channel(0);
        for _ in 0..100 {
            let sender = sender.clone();
            thread::spawn(move || sender.send(()).unwrap());
        }
        for _ in 0..100 {
            receiver.recv().unwrap();
        }
    }

    fn test_nested_recv_iter() {
        let (sender, receiver) = mpsc::sync_channel::<i32>(0);
        let (sum, sums) = mpsc::sync_channel(0);
        thread::spawn(move || sum.send(receiver.iter().sum::<i32>()).unwrap());
        for n in [3, 1, 2] {
            sender.send(n).unwrap();
        }
        drop(sender);
        assert_eq!(sums.recv(), Ok(6));
    }

    fn test_recv_iter_break() {
        let (sender, receiver) = mpsc::sync_channel(0);
        let (count, counts) = mpsc::sync_channel(0);
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
        sender.try_send(2).ok();
        drop(sender);
        assert_eq!(counts.recv(), Ok(4));
    }

    fn try_recv_states() {
        let (sender, receiver) = mpsc::sync_channel(1);
        let (go, going) = mpsc::sync_channel(1);
        let (done, is_done) = mpsc::sync_channel(1);
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
        let (sender, receiver) = mpsc::sync_channel(0);
        let (done, is_done) = mpsc::sync_channel(0);
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

    fn send1() {
        let (sender, receiver) = mpsc::sync_channel(0);
        let receiving = thread::spawn(move || receiver.recv().unwrap());
        assert_eq!(sender.send(1), Ok(()));
        assert_eq!(receiving.join().unwrap(), 1);
    }

    fn send2() {
        let (sender, receiver) = mpsc::sync_channel(0);
        thread::spawn(move || drop(receiver));
        assert_eq!(sender.send(1), Err(mpsc::SendError(1)));
    }

    fn send3() {
        let (sender, receiver) = mpsc::sync_channel(1);
        assert_eq!(sender.send(1), Ok(()));
        thread::spawn(move || drop(receiver));
        assert_eq!(sender.send(2), Err(mpsc::SendError(2)));
    }

    fn send4() {
        let (sender, receiver) = mpsc::sync_channel(0);
        let (done, is_done) = mpsc::channel();
        for n in 1..=2 {
            let (sender, done) = (sender.clone(), done.clone());
            thread::spawn(move || {
                assert_eq!(sender.send(n), Err(mpsc::SendError(n)));
                done.send(()).unwrap();
            });
        }
        drop(receiver);
        is_done.recv().unwrap();
        is_done.recv().unwrap();
    }

    fn try_send1() {
        let (sender, _receiver) = mpsc::sync_channel(0);
        assert_eq!(sender.try_send(1), Err(mpsc::TrySendError::Full(1)));
    }

    fn try_send2() {
        let (sender, _receiver) = mpsc::sync_channel(1);
        assert_eq!(sender.try_send(1), Ok(()));
        assert_eq!(sender.try_send(1), Err(mpsc::TrySendError::Full(1)));
    }

    fn try_send3() {
        let (sender, receiver) = mpsc::sync_channel(1);
        assert_eq!(sender.try_send(1), Ok(()));
        drop(receiver);
        assert_eq!(sender.try_send(1), Err(mpsc::TrySendError::Disconnected(1)));
    }

    fn issue_15761() {
        for _ in 0..100 {
            let (go, going) = mpsc::sync_channel(3);
            let (done, is_done) = mpsc::sync_channel(3);
            thread::spawn(move || {
                going.recv().unwrap();
                done.try_send(()).unwrap();
            });
            go.try_send(()).unwrap();
            is_done.recv().unwrap();
        }
    }

    fn drop_unreceived() {
        let (sender, receiver) = mpsc::sync_channel(1);
        let message = Rc::new(());
        let weak = Rc::downgrade(&message);
        sender.send(message).unwrap();
        drop(receiver);
        // At once, though there is a sender.
        assert!(weak.upgrade().is_none());
        drop(sender);
    }
}
