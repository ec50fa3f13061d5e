// Package encryption keeps values unreadable for whoever reads the database without the keys. It owns the keyset, a file of
// Tink with one key that encrypts and others that still decrypt, its being read again while the service runs, and the
// authenticated encryption of single values. Where the values are stored, and when they are encrypted anew, is the affair of
// the domains.
package encryption
