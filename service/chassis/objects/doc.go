// Package objects keeps objects under keys: in a directory, or in a bucket of any S3-compatible storage. It owns how a storage is reached and
// signed for, that an object is there as a whole or not at all, and why a storage refuses. What the objects are, and when they may go, is up
// to those who keep them: package blob for files of a domain, the backups of a database. Nothing is ever held in memory as a whole.
package objects
