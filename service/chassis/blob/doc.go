// Package blob keeps files, as objects of package objects, which knows how a storage is reached. It owns where a content lies, that it is
// whole, and that nothing stays to which nobody refers; what a file is and who may read it is up to the domain. Nothing is ever held in
// memory as a whole.
//
// A content is kept once, under its SHA-256, however many files have it. The table blobs, which the migrations of the service bring,
// says which contents there are:
//
//	incoming/ID        what is being received; it becomes a content or is removed
//	sha256/AB/ABCD...  a content, which never changes
//
// A domain receives a file, keeps it, and refers to it in the transaction that stores what the file is:
//
//	content, err := store.Receive(ctx, body, limit)
//	defer store.Forget(ctx, content)
//	...
//	err = store.Keep(ctx, content)
//	err = db.Atomically(ctx, func(ctx context.Context) error {
//		if err := store.Claim(ctx, content.SHA256); err != nil {
//			return err
//		}
//		return insertRowThatRefersTo(ctx, content.SHA256)
//	})
//
// A process that is killed in between leaves something to which nobody refers. Sweep removes it once it is old enough to be no
// file that is still on its way.
package blob
