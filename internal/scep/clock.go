package scep

import "fmt"

// checkClock looks at times, which a message is not refused for unless the
// settings say so: many devices enrol before they know what year it is.
func (o *opening) checkClock([]byte) *MessageError {
	if err := o.checkValidity(); err != nil {
		return o.fail(BadRequest, textNotValid, err)
	}
	if err := o.checkSigningTime(); err != nil {
		return o.fail(BadTime, textBadTime, err)
	}
	return nil
}

func (o *opening) checkValidity() error {
	tolerance := o.settings.ClockTolerance
	if tolerance == 0 {
		return nil
	}
	now, signer := o.settings.now(), o.request.Signer
	if now.Before(signer.NotBefore.Add(-tolerance)) || now.After(signer.NotAfter.Add(tolerance)) {
		return fmt.Errorf("the signer's certificate is valid from %v to %v", signer.NotBefore, signer.NotAfter)
	}
	return nil
}

func (o *opening) checkSigningTime() error {
	limit := o.settings.MaxSigningTimeSkew
	if limit == 0 {
		return nil
	}
	signed, ok := o.signed.SigningTime()
	if !ok {
		return nil
	}
	if skew := o.settings.now().Sub(signed); skew.Abs() > limit {
		return fmt.Errorf("signingTime %v is off by %v", signed, skew)
	}
	return nil
}
