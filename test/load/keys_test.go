package load

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"sync"

	"golang.org/x/sync/errgroup"
)

// keyPool hands out RSA keys of 2,048 bits, each once. They cost next to nothing: each
// is the product of another pair of a few primes, so that whoever has two of them
// may well factor both. Devices in a test do not mind.
type keyPool struct {
	primes []*big.Int

	mu   sync.Mutex
	p, q int // the next pair is primes[p] and primes[q], q < p
}

// poolPrimes is enough for 90·89/2 = 4,005 keys.
const poolPrimes = 90

const primeBits = 1024

var publicExponent = big.NewInt(65537)

func newKeyPool() (*keyPool, error) {
	pool := &keyPool{primes: make([]*big.Int, poolPrimes), p: 1}
	var group errgroup.Group
	for i := range pool.primes {
		group.Go(func() (err error) {
			pool.primes[i], err = newPrime()
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("make keys: %w", err)
	}
	return pool, nil
}

// newPrime has its two highest bits set, so that the product of two has all its bits.
func newPrime() (*big.Int, error) {
	for {
		p, err := rand.Prime(rand.Reader, primeBits)
		if err != nil {
			return nil, err
		}
		less := new(big.Int).Sub(p, big.NewInt(1))
		if new(big.Int).Mod(less, publicExponent).Sign() != 0 {
			return p, nil
		}
	}
}

var errNoKeysLeft = errors.New("the pool of keys is used up: it wants more primes")

func (k *keyPool) next() (*rsa.PrivateKey, error) {
	p, q, err := k.pair()
	if err != nil {
		return nil, err
	}
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: int(publicExponent.Int64())},
		D:         new(big.Int).ModInverse(publicExponent, phi),
		Primes:    []*big.Int{p, q},
	}
	key.Precompute()
	if err := key.Validate(); err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return key, nil
}

func (k *keyPool) pair() (p, q *big.Int, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.p == len(k.primes) {
		return nil, nil, errNoKeysLeft
	}
	p, q = k.primes[k.p], k.primes[k.q]
	if k.q++; k.q == k.p {
		k.p, k.q = k.p+1, 0
	}
	return p, q, nil
}
