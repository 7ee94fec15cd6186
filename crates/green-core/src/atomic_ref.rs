//! References to things that live for ever, to be set and read by any OS thread.

use std::fmt;
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// An atomic `Option<&'static T>`: a pointer in size, where a `OnceLock` is two words and an `Arc` counts.
///
/// A `get` that sees a reference also sees what was written before it was set.
pub(crate) struct AtomicRef<T: 'static> {
    /// Invariant: null, or made from a `&'static T`.
    pointer: AtomicPtr<T>,
}

// SAFETY: it hands a `&'static T` from one OS thread to another, which is all right if `T` is `Sync`. (The
// pointer type itself does not ask for that.)
unsafe impl<T: Sync> Sync for AtomicRef<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Send for AtomicRef<T> {}

impl<T> AtomicRef<T> {
    /// No reference.
    pub(crate) const fn none() -> Self {
        Self {
            pointer: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Sets the reference.
    #[inline]
    pub(crate) fn set(&self, to: &'static T) {
        self.pointer
            .store(ptr::from_ref(to).cast_mut(), Ordering::Release);
    }

    /// The reference, which is not kept any more.
    pub(crate) fn take(&mut self) -> Option<&'static T> {
        let taken = self.get();
        *self = Self::none();
        taken
    }

    /// The reference.
    #[inline]
    pub(crate) fn get(&self) -> Option<&'static T> {
        let pointer = self.pointer.load(Ordering::Acquire);
        // SAFETY: null, or made from a reference that is valid for ever, and only used as a shared one.
        unsafe { pointer.as_ref() }
    }
}

impl<T> Default for AtomicRef<T> {
    fn default() -> Self {
        Self::none()
    }
}

impl<T> fmt::Debug for AtomicRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AtomicRef")
            .field(&self.get().is_some())
            .finish()
    }
}

/// An atomic `Option` of a reference to one of two types, a pointer in size.
pub(crate) struct AtomicEither<A: 'static, B: 'static> {
    /// Invariant: null; or made from a `&'static A`; or from a `&'static B`, one byte further.
    pointer: AtomicPtr<u8>,
    types: PhantomData<(&'static A, &'static B)>,
}

/// A reference to one of two types.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Either<A: 'static, B: 'static> {
    First(&'static A),
    Second(&'static B),
}

// SAFETY: as for `AtomicRef`.
unsafe impl<A: Sync, B: Sync> Sync for AtomicEither<A, B> {}
// SAFETY: as above.
unsafe impl<A: Sync, B: Sync> Send for AtomicEither<A, B> {}

impl<A, B> AtomicEither<A, B> {
    /// An odd address tells that it is the second type.
    const ALIGNED: () = assert!(align_of::<A>() > 1 && align_of::<B>() > 1);

    /// No reference.
    pub(crate) const fn none() -> Self {
        Self {
            pointer: AtomicPtr::new(ptr::null_mut()),
            types: PhantomData,
        }
    }

    /// Sets the reference.
    pub(crate) fn set(&self, to: Either<A, B>) {
        const { Self::ALIGNED };
        let pointer = match to {
            Either::First(first) => ptr::from_ref(first).cast::<u8>(),
            Either::Second(second) => ptr::from_ref(second).cast::<u8>().wrapping_add(1),
        };
        self.pointer.store(pointer.cast_mut(), Ordering::Release);
    }

    /// The reference.
    #[inline]
    pub(crate) fn get(&self) -> Option<Either<A, B>> {
        let pointer = self.pointer.load(Ordering::Acquire);
        if pointer.is_null() {
            return None;
        }
        Some(if pointer.addr() & 1 == 0 {
            // SAFETY: made from a reference to the first type that is valid for ever, and shared only.
            Either::First(unsafe { &*pointer.cast::<A>() })
        } else {
            let second = pointer.wrapping_sub(1).cast::<B>();
            // SAFETY: made from a reference to the second type that is valid for ever, and shared only.
            Either::Second(unsafe { &*second })
        })
    }
}

impl<A, B> fmt::Debug for AtomicEither<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AtomicEither")
            .field(&self.get().is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_two() {
        static NUMBER: u64 = 7;
        static WORD: u16 = 9;
        let either = AtomicEither::<u64, u16>::none();
        assert!(either.get().is_none());
        either.set(Either::First(&NUMBER));
        assert!(matches!(either.get(), Some(Either::First(7))));
        either.set(Either::Second(&WORD));
        assert!(matches!(either.get(), Some(Either::Second(9))));
    }

    #[test]
    fn a_reference_can_be_taken() {
        static NUMBER: u64 = 7;
        let mut reference = AtomicRef::none();
        assert_eq!(reference.take(), None);
        reference.set(&NUMBER);
        assert_eq!((reference.get(), reference.take()), (Some(&7), Some(&7)));
        assert_eq!(reference.get(), None);
    }
}
