import numpy as np
from scipy.special import erf
def lawson(A, b, w0, iters=400):
    """min max |w0*(A c - b)| by Lawson reweighting"""
    w=np.ones(len(b)); best=None
    for _ in range(iters):
        s=np.sqrt(w)*w0
        c=np.linalg.lstsq(A*s[:,None], b*s, rcond=None)[0]
        e=np.abs((A@c-b)*w0)
        m=e.max()
        if best is None or m<best[0]: best=(m,c)
        w=w*(e/m+1e-12); w/=w.sum()
    return best
def cheb(a,b,n=2000):
    return (a+b)/2+(b-a)/2*np.cos(np.pi*(np.arange(n)+.5)/n)
f=lambda c:[float(np.float32(v)) for v in c]
# exp: e^r = 1 + r + r^2 p(r)
r=cheb(-0.3470,0.3470)
# solve with relative err on e^r
for d in (4,5):
    b=np.expm1(r)-r
    A=(r**2)[:,None]*np.vander(r,d+1,increasing=True)
    m,c=lawson(A,b,1/np.exp(r)); print('exp',d,m, [repr(np.float32(v)) for v in c])
# ln(1+x)= x - x^2/2 + x^3 p(x), x in [sqrt.5-1, sqrt2-1]
x=cheb(np.sqrt(.5)-1,np.sqrt(2)-1); 
for d in (6,7,8):
    b=np.log1p(x)-x+x*x/2
    A=(x**3)[:,None]*np.vander(x,d+1,increasing=True)
    m,c=lawson(A,b,1/np.abs(np.log1p(x))); print('ln',d,m,[repr(np.float32(v)) for v in c])
# rational: g(t)=tanh(sqrt t)/sqrt t ~ P(t)/Q(t)
def rat(g,xs,n,d,w):
    t=xs**2; gx=g(xs)/xs
    q=np.ones_like(t); best=None
    wl=np.ones_like(t)
    for it in range(300):
        # minimise |P - g Q| * w/(g*qprev)
        sc=1/t.max()
        Vp=np.vander(t*sc,n+1,increasing=True); Vq=np.vander(t*sc,d+1,increasing=True)[:,1:]
        A=np.hstack([Vp,-gx[:,None]*Vq]); b=gx
        s=np.sqrt(wl)*w(xs)/(np.abs(gx)*np.abs(q))
        c=np.linalg.lstsq(A*s[:,None],b*s,rcond=None)[0]
        p=Vp@c[:n+1]; q=1+Vq@c[n+1:]
        e=np.abs(p/q/gx-1)*w(xs); m=e.max()
        if best is None or m<best[0]: best=(m,c.copy())
        if it>20: wl=wl*(e/m+1e-9)**0.5; wl/=wl.mean()
    m,c=best
    P=[c[i]*sc**i for i in range(n+1)]; Q=[1]+[c[n+1+i]*sc**(i+1) for i in range(d)]
    return m,P,Q
if __name__=="__main__":
  xs=cheb(0.0,9.02,6000); xs=xs[xs>1e-3]
  for n,d in ((4,4),(5,3),(4,3),(5,4)):
    m,P,Q=rat(np.tanh,xs,n,d,lambda x:1.0); print('tanh',n,d,m,[repr(np.float32(v)) for v in P],[repr(np.float32(v)) for v in Q])
  xs=cheb(0.0,4.0,6000); xs=xs[xs>1e-3]
  for n,d in ((5,4),(4,4),(5,5)):
    m,P,Q=rat(erf,xs,n,d,lambda x:1.0); print('erf',n,d,m,[repr(np.float32(v)) for v in P],[repr(np.float32(v)) for v in Q])
